"""Tell whether a result is trustworthy: features, criteria of kernels, the verdict."""
