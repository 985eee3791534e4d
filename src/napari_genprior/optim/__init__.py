"""Optimization: a gradient loop, batched L-BFGS, block coordinate descent. Nothing here knows of images."""
