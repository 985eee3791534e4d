"""Share what every layer needs: arrays, axes, files, results, errors."""
