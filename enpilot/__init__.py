"""The language that all rooms share: plant model, units, wire messages, settings, database."""

__all__ = ["__version__"]

__version__ = "0.1.0"
