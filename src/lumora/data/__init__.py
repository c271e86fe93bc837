"""Training data: rendered or imported clips in shards, their captions, and the cache of encoded latents."""
