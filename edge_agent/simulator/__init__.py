"""Simulated meters on a real Modbus TCP socket, for the demo, for tests and for development."""
