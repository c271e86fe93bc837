"""Simulation of scenes with MuJoCo.

`body_models` has shapes and materials, `subject_motion` the driven motion, `camera_motion` the path of the camera.
"""

from lumora.world.physics.camera_motion import camera_path
from lumora.world.physics.simulation import masses, simulate

__all__ = ["camera_path", "masses", "simulate"]
