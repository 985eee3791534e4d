"""Deblur many files: manifest, processes, Dask."""
