"""Making generators: data, losses, and a loop that can be killed at any moment and goes on where it was."""
