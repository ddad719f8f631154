"""Training: the device mesh and the one training loop."""
