"""How blur acts on a picture: bilinear operators, boundaries, and misfits."""
