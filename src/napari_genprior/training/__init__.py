"""Train generators and networks: data, losses, and a training loop that resumes after an interruption."""
