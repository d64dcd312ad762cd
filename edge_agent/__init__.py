"""Reads meters over Modbus and keeps every reading until the platform confirms it."""

__all__: list[str] = []
