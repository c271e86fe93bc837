"""Datasets: shards, captions, latent cache."""
