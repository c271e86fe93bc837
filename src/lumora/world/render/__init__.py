"""A ray tracer of closed-form primitives in PyTorch, batched over clips and frames, for CPU and GPU."""

from lumora.world.render.renderer import Rendering, render

__all__ = ["Rendering", "render"]
