"""The spacetime diffusion transformer: latents, words and times in, clean latents out."""
