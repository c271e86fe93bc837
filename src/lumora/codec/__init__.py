"""The video autoencoder: pixels to latents and back."""

from lumora.codec.autoencoder import Codec
from lumora.codec.basis import align_to_pixel_metric
from lumora.codec.linear import init_linear
from lumora.codec.losses import CodecLossConfig, codec_loss, codec_step

__all__ = ["Codec", "CodecLossConfig", "align_to_pixel_metric", "codec_loss", "codec_step", "init_linear"]
