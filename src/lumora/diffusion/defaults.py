"""Default settings of sampling (docs/experiments/sampling-and-guidance.md). No torch: planning reads them."""

from __future__ import annotations

GUIDANCE, CONTINUATION_GUIDANCE, MULTI_SHOT_GUIDANCE, CONDITIONED_GUIDANCE = 4.0, 2.0, 1.5, 1.0
"""Guidance scales: of text to video and edits; of the further windows of a long video, which a larger scale makes
harsher from window to window; of several shots, where a larger scale makes them black and white; and next to kept
frames, where a larger scale adds contrast and flicker but no stated fact."""
GUIDANCE_INTERVAL = (0.2, 0.93)
"""Times at which guidance acts (arXiv:2404.07724). Closer to noise it changes the whole picture beyond what the prompt
says; closer to data it only adds contrast and flicker."""
EDIT_GUIDANCE_INTERVAL = (0.2, 1.0)
"""The same for edits, most of which change the whole picture."""
JUMP_T_BETWEEN = 0.95
"""Time from which sampling jumps to the predicted clean latent if both ends of the window are known. Little is open
there, and the prediction is closer to the truth than what further steps add."""
JUMP_T_BESIDE = 0.5
"""The same if the window continues given frames: a later jump gets harsh, and from .8 on motion fades."""
JUMP_T_FEW_STEPS = 0.4
"""The same with the adapters for few steps, of which none should be spent on the last details."""
FEW_STEPS = "few_steps.safetensors"
"""The file of a model with the adapters of `lumora train distill`, which sample requests of their number of steps. A
model need not have it."""
