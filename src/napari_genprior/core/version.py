"""Hold the version: here alone, so that every layer may name it."""

__version__ = "0.1.0.dev0"
