"""How a transformer that predicts clean latents is trained to make videos from noise, and how it makes them."""
