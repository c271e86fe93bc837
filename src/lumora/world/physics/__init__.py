"""Physics: a scene moved by MuJoCo.

`bodies` says what things are made of, `motion` what they set out to do, `camera` where we look from.
"""

from lumora.world.physics.camera_motion import camera_path
from lumora.world.physics.simulation import masses, simulate

__all__ = ["camera_path", "masses", "simulate"]
