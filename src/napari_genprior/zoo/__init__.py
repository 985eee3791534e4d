"""Pretrained models: their description (card), architectures (registry) and files (store)."""
