"""Reading the images and videos that a request is conditioned on."""

from __future__ import annotations

from pathlib import Path

from lumora.backends.base import Capabilities
from lumora.config import Resolution
from lumora.media.video import ResizeMode, Video
from lumora.provenance.latent_store import LatentStore
from lumora.provenance.manifest import read
from lumora.request.serialization import source_caption, upgrade_recipe


def load_image(file: Path) -> Video:
    """The image, or the first frame of a video. Raises ValueError, in one sentence, for what cannot be read."""
    return Video.load(file, max_frames=1)


def clip_size(file: Path) -> Resolution:
    """Width and height of an image or a video, of which one frame is read. Raises as `load_image`."""
    height, width = load_image(file).frames.shape[1:3]
    return Resolution(width, height)


def load_clip(file: Path, capabilities: Capabilities, size: Resolution, resize_mode: ResizeMode) -> Video:
    """A video at `size` and its own frame rate, with the latents that it was made of if they are kept here."""
    max_seconds = capabilities.max_seconds + 1.0  # enough of a longer film to refuse it
    video = Video.load(file, size=(size.height, size.width), resize_mode=resize_mode, max_seconds=max_seconds)
    return LatentStore().joined(video, file)


def known_caption(file: Path) -> str:
    """What a file shows according to its manifest; empty if it does not say."""
    return source_caption(upgrade_recipe(read(file).recipe).get("request"))
