"""Hold the version: here alone, so that every layer may name it."""

__version__ = "0.1.0.dev0"
SOFTWARE = "napari-genprior"  # names this package in the metadata of the TIFF files that it writes
