"""Model how an image is formed: convolution, boundary, observation, noise, and bilinear operators."""
