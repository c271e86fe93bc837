"""Training: the loop, the objectives, the optimizer, checkpoints and distributed processes."""
