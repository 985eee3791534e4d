"""Restore an image whose kernel is known (non-blind deconvolution)."""
