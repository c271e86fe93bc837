"""The renderer: a closed-form ray tracer in torch, batched over clips and frames, the same on CPU and GPU."""

from lumora.world.render.renderer import Rendering, render

__all__ = ["Rendering", "render"]
