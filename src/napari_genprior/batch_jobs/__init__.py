"""Deblur many files: the manifest, local processes, and Dask clusters."""
