"""Pretrained priors: what a model is (card), how it is built (registry), where it lies (store)."""
