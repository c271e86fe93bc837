"""The video compression network: pixels to latents and back."""

from lumora.codec.autoencoder import Codec
from lumora.codec.basis import weigh_by_pixels
from lumora.codec.linear import start_linear
from lumora.codec.losses import CodecLossConfig, codec_loss, codec_step

__all__ = ["Codec", "CodecLossConfig", "codec_loss", "codec_step", "start_linear", "weigh_by_pixels"]
