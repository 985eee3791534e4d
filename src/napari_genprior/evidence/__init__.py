"""Kernels by their marginal likelihood: the picture is integrated out, not maximised."""
