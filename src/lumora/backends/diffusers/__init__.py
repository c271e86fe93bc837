"""Open-weight video models, run by the diffusers library."""
