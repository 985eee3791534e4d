"""Estimate an unknown kernel (blind deconvolution)."""
