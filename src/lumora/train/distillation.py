"""Distillation to few steps: a student takes each step of a short Euler schedule, without guidance, to the state that
its teacher reaches with several guided steps.

This is progressive distillation (arXiv:2202.00512) of a guided teacher (arXiv:2210.03142) to one fixed schedule. Each
step starts from a state that the student reached from noise by itself, as in sampling, so it is also trained on its own
errors. The student is the teacher with trained adapters (LoRA).

The run directory holds the latents of clips of the world, of which captions, sizes and given frames are used, the run,
and in `weights` the model with its adapters.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lumora.config import DistillationConfig, ModelConfig, TrainConfig, to_json
from lumora.data.datasets import LatentDataset
from lumora.data.latent_cache import LatentExample
from lumora.data.render_latents import render_latents
from lumora.diffusion.condition import (
    LatentState,
    draw_mask,
    frame_times,
    init_state,
    keep_nothing,
)
from lumora.diffusion.defaults import (
    CONDITIONED_GUIDANCE,
    CONTINUATION_GUIDANCE,
    FEW_STEPS,
    GUIDANCE,
    JUMP_T_BESIDE,
    JUMP_T_BETWEEN,
    MULTI_SHOT_GUIDANCE,
)
from lumora.diffusion.flow import velocity
from lumora.diffusion.guidance import Guidance, make_denoiser
from lumora.diffusion.sampler import sample, sampling_times
from lumora.model.lora_layers import add_lora, save_lora
from lumora.model.noise_experts import Transformers, load_transformers, transformer_at
from lumora.model.packing import Batch
from lumora.model.patchify import stack_equal_shapes
from lumora.model.transformer import flops
from lumora.presets import LANGUAGES, Preset, finetuning
from lumora.train.checkpoint import TrainProgress
from lumora.train.distributed import DistContext, dist_context
from lumora.train.loop import train
from lumora.train.objectives import LatentObjective
from lumora.train.run import copy_codec, load_ema, read_model_config, save_model
from lumora.weights_io import weights_hash
from lumora.world.sample.cast import PRESETS as WORLD_PRESETS

TEXT_ONLY_SHARE = 0.75
"""Share of the steps without given frames: there the teacher's guidance is strongest, and the loss largest."""
CONTINUATION_SHARE = 0.3
"""Share of the clips with given frames in which these count as generated before, as in a long video."""


def distill(
    teacher_dir: Path,
    config: DistillationConfig,
    run_dir: Path,
    max_minutes: float | None = None,
    device: str | None = None,
) -> TrainProgress:
    """Starts or resumes the distillation of the model in `teacher_dir`, and exports it with its few-step adapters.

    Raises ValueError for a model that is none, and a run directory of another run.
    """
    model = read_model_config(teacher_dir)
    with dist_context(device) as dist:
        if dist.is_main:
            _prepare_data(teacher_dir, config, model, run_dir, dist.device.type)
        dist.wait_for_all()  # until the data are there
        torch.manual_seed(0)
        student, teacher = (load_transformers(model, teacher_dir) for _ in range(2))
        add_lora(student, config.lora_rank)
        films = run_dir / "films"
        latents = LatentDataset(run_dir / "latents", extra_folders=[films] if films.exists() else [])
        run = finetuning(config.max_steps, config.batch_size, config.lora_rank)
        objective = DistillationObjective(student, teacher, latents, model, run, dist, config)
        # The teacher by its weights, not its folder: a run may be moved, and a folder may hold another model later.
        description = to_json(model) + weights_hash(teacher.state_dict().values()) + to_json(config)
        progress = train(objective, run, run_dir / "transformer", dist, description, max_minutes)
        if dist.is_main:
            _export(teacher_dir, config, model, run_dir)
    return progress


def _prepare_data(
    teacher_dir: Path, config: DistillationConfig, model: ModelConfig, run_dir: Path, device: str
) -> None:
    codec = copy_codec(teacher_dir, run_dir)
    clips = Preset(
        model,
        config.world,
        num_clips=config.num_clips,
        buckets=(model.shape,),
        shard_size=50,
        languages=LANGUAGES,
    )
    render_latents(clips, codec, run_dir / "latents", workers=0, device=device)
    if model.multi_shot and f"{config.world}-film" in WORLD_PRESETS:
        shape = replace(model.shape, num_frames=model.max_multi_shot_frames or model.shape.num_frames)
        films = replace(clips, world=f"{config.world}-film", num_clips=-(-config.num_clips // 4), buckets=(shape,))
        render_latents(films, codec, run_dir / "films", workers=0, device=device)


def _export(teacher_dir: Path, config: DistillationConfig, model: ModelConfig, run_dir: Path) -> None:
    """Copies the teacher, and writes the longest EMA of the adapters next to it."""
    student = load_transformers(model, teacher_dir)
    save_model(student, model, run_dir / "weights")
    add_lora(student, config.lora_rank)
    adapters = load_ema(student, run_dir / "transformer").state_dict()
    metadata = {"num_inference_steps": str(config.num_inference_steps)}
    save_lora(adapters, run_dir / "weights" / FEW_STEPS, metadata)


def teacher_path(t: float, t_next: float, num_steps: int, t_min: float) -> list[float]:
    """Times of the teacher's steps from t to `t_next`; its last step to 0 is the jump from `t_min`, as in sampling."""
    jumps = t_next == 0 and t > t_min and num_steps > 1
    end, count = (t_min, num_steps - 1) if jumps else (t_next, num_steps if t_next > 0 else 1)
    path = [t + (end - t) * i / count for i in range(count + 1)]
    return [*path, 0.0] if jumps else path


class DistillationObjective(LatentObjective):
    """The squared error of the student's velocity over one of its steps, against the mean velocity of its teacher."""

    def __init__(
        self,
        student: Transformers,
        teacher: Transformers,
        latents: LatentDataset,
        model: ModelConfig,
        run: TrainConfig,
        dist: DistContext,
        config: DistillationConfig,
    ) -> None:
        super().__init__(student, latents, model, run, dist)
        self.teacher = teacher.to(dist.device).eval().requires_grad_(False)
        self.model, self.distillation = model, config

    def flops(self, step: int) -> float:
        """Those of the student's forward and backward pass, which are a small part of all."""
        examples = self._batch(step)
        sizes = [(e.latent.shape[1], e.latent.shape[2], e.latent.shape[3]) for e in examples]
        text_lengths = [[span.num_tokens for span in e.spans] for e in examples]
        return 3.0 * flops(self.model.transformer, sizes, text_lengths)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        examples = sorted(self._batch(step), key=lambda example: tuple(example.latent.shape))
        groups = stack_equal_shapes([e.latent.to(self.dist.device, torch.float32) for e in examples])
        remaining, metrics = list(examples), {}
        loss = torch.zeros((), device=self.dist.device)
        for clean in groups:
            clips, remaining = remaining[: len(clean)], remaining[len(clean) :]
            error, interval = self._step_loss(clean, clips, generator)
            loss = loss + error * len(clean) / len(examples)
            metrics[f"loss_step{interval}"] = float(error.detach())
        return loss, metrics

    def _step_loss(
        self, clean: Float[Tensor, "b c t h w"], examples: list[LatentExample], generator: torch.Generator
    ) -> tuple[Tensor, int]:
        """The loss of clips of one shape over one random step, and the index of that step."""
        state, guidance, jump = self._draw_state(clean, examples, generator)
        text, spans = [e.text.to(clean) for e in examples], [e.spans for e in examples]
        t_min, config = self.flow.t_min, self.distillation
        times = sampling_times(self.model, clean.shape[2:], config.num_inference_steps, jump, is_few_step=True)
        index = int(torch.randint(config.num_inference_steps, (), generator=generator))
        t, t_next = times[index], times[index + 1]

        student = make_denoiser(self.module, state, text, Guidance(), t_min, spans)
        x = sample(student, state, times[: index + 1], "euler")
        teacher = make_denoiser(self.teacher, state, text, guidance, t_min, spans)
        end = sample(teacher, replace(state, latent=x), teacher_path(t, t_next, config.teacher_steps, t_min))
        x, mean_velocity = x.clone(), ((x - end) / (t - t_next)).clone()  # made in inference mode

        mask = state.denoise_mask[:, None, :, None, None]
        batch = Batch(list(x), list(frame_times(state.denoise_mask, t)), text, list(state.positions), spans)
        own = velocity(x, torch.stack(transformer_at(self.module, t)(batch)), t, t_min)
        return ((own - mean_velocity) * mask).square().sum() / (mask.sum() * x[0, :, 0].numel()), index

    def _draw_state(
        self, clean: Float[Tensor, "b c t h w"], examples: list[LatentExample], generator: torch.Generator
    ) -> tuple[LatentState, Guidance, float]:
        """Noise with or without given frames, and the teacher's guidance and jump time, as sampling chooses them."""
        frames = clean.shape[2]
        is_conditioned = frames > 1 and torch.rand((), generator=generator).item() >= TEXT_ONLY_SHARE
        mask = draw_mask(frames, generator) if is_conditioned else keep_nothing(frames)
        continues = is_conditioned and torch.rand((), generator=generator).item() < CONTINUATION_SHARE
        scale = MULTI_SHOT_GUIDANCE if any(len(e.spans) > 1 for e in examples) else GUIDANCE
        scale = (CONTINUATION_GUIDANCE if continues else CONDITIONED_GUIDANCE) if is_conditioned else scale
        jump = 0.0
        if is_conditioned and not continues:
            jump = JUMP_T_BETWEEN if mask[0] == mask[-1] == 0 else JUMP_T_BESIDE
        step = self.temporal_compression
        seconds = torch.tensor([[frame * step / e.fps for frame in range(frames)] for e in examples])
        state = init_state(clean, mask.to(clean).expand(len(clean), -1), seconds.to(clean), generator)
        return state, Guidance.at_default_times(scale, self.teacher), jump
