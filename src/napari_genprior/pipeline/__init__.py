"""Carry out a request: plan, estimate kernels, deconvolve the pieces, assess, report."""
