"""Minimize: one gradient loop, batched L-BFGS, block coordinate descent; nothing here knows images."""
