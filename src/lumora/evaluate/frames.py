"""The type of a clip's pixels that the whole evaluation uses."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

Frames: TypeAlias = UInt8[np.ndarray, "_t _h _w 3"]
"""The frames of one clip, as in `Video.frames`. The underscores allow lists of clips that differ in length and size."""
