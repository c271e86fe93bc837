"""Training presets as functions: the model, its training data and its schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from lumora.config import (
    HIGH_NOISE_TRANSFORMER,
    CodecConfig,
    DistillationConfig,
    FlowConfig,
    HighNoiseConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
    TransformerConfig,
    VideoShape,
)

LANGUAGES = ("cs", "de", "es", "fr", "zh")
"""Of the captions of the default model, besides English (ISO 639-1 codes)."""


@dataclass(frozen=True)
class Preset:
    """The complete configuration of the training of a model."""

    model: ModelConfig = field(default_factory=ModelConfig)
    world: str = "simple"
    """Preset of the world."""
    seed: int = 0
    """Seed of the clips. Seeds below 1,000 are for training; the others are for evaluation only."""
    num_clips: int = 30_000
    buckets: tuple[VideoShape, ...] = (VideoShape(),)
    """Shapes of the clips; consecutive shards take turns at them."""
    shard_size: int = 250
    """Clips per shard."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages of some captions; most are English."""
    codec: TrainConfig = field(default_factory=TrainConfig)
    transformer: TrainConfig = field(default_factory=TrainConfig)
    high_noise: TrainConfig = field(default_factory=TrainConfig)
    """Of the model's high-noise transformer, if it has one."""

    def schedule(self, name: str) -> TrainConfig:
        """Of the transformer of this name (`ModelConfig.transformers`)."""
        return self.high_noise if name == HIGH_NOISE_TRANSFORMER else self.transformer


def tiny() -> Preset:
    """All stages in seconds, of a model that learns almost nothing: for tests and dry runs.

    `lumora train all --preset tiny`, 20 s on one core.
    """
    shape = VideoShape(num_frames=9, height=32, width=32)
    optimizer = OptimizerConfig(ema_decays=(0.9,))
    model = ModelConfig(
        codec=CodecConfig(
            spatial_compression=8,
            latent_channels=4,
            encoder_channels=(16, 16),
            decoder_channels=(16, 16),
            num_res_blocks=1,
        ),
        transformer=TransformerConfig(latent_channels=4, hidden_size=64, num_layers=2, head_dim=32),
        shape=shape,
    )
    run = TrainConfig(batch_size=4, max_steps=12, log_every=4, optimizer=optimizer)
    return Preset(model, num_clips=12, buckets=(shape,), shard_size=6, codec=run, transformer=run)


def cpu() -> Preset:
    """A small model of one resolution for two CPU cores: 64×64 pixels, 17 frames at 8 fps, the `plain` world.

    `python runs/default.py --preset cpu`. Clips take 9 min and the codec 26 min (32.8 dB) on two shared cores; latents
    took 18 min with a smaller text encoder, and the transformer 440 min in several runs (see
    docs/experiments/transformer-training.md).
    """
    square, wide, tall = VideoShape(17, 64, 64), VideoShape(17, 48, 80), VideoShape(17, 80, 48)
    model = ModelConfig(
        codec=CodecConfig(
            spatial_compression=8, latent_channels=48, encoder_channels=(64, 128), decoder_channels=(192, 96)
        ),
        transformer=TransformerConfig(latent_channels=48, hidden_size=256, num_layers=6, hourglass_hidden_size=128),
        flow=FlowConfig(logit_std=1.0, t_min=0.15),
        shape=square,
    )
    codec = TrainConfig(
        batch_size=6, max_steps=2_700, optimizer=OptimizerConfig(muon_lr=0.03, ema_decays=(0.99, 0.995))
    )
    return Preset(
        model,
        "plain",
        num_clips=30_000,
        buckets=(square, square, square, wide, square, square, square, tall),
        codec=codec,
        transformer=TrainConfig(batch_size=32, max_steps=3_000),
    )


def gpu() -> Preset:
    """A larger model for 128×128 pixels and the `full` world, for one GPU. Its codec has the default size.

    `lumora train all --preset gpu`.
    """
    shape, codec = VideoShape(17, 128, 128), cpu().model.codec
    transformer = TransformerConfig(latent_channels=codec.latent_channels, hidden_size=320, num_layers=10)
    return Preset(
        ModelConfig(codec=codec, transformer=transformer, shape=shape),
        "full",
        num_clips=100_000,
        buckets=variations(shape),
        shard_size=500,
        codec=TrainConfig(batch_size=64, max_steps=10_000, optimizer=OptimizerConfig(muon_lr=0.01, adam_lr=5e-4)),
        transformer=TrainConfig(batch_size=256, max_steps=11_000),
    )


def large(num_layers: int) -> Preset:
    """A transformer of 28 (402 M parameters in blocks) or 48 blocks (2 B), for own footage at 256×256 pixels.

    Nobody has trained one; its rates are those of `gpu` and were not tuned for it. See docs/large-training.md.
    """
    shape, codec = VideoShape(17, 256, 256), cpu().model.codec
    transformer = TransformerConfig(
        latent_channels=codec.latent_channels, hidden_size={28: 1088, 48: 1856}[num_layers], num_layers=num_layers
    )
    optimizer = OptimizerConfig(muon_lr=0.01, adam_lr=5e-4, ema_decays=(0.9995,))
    run = TrainConfig(
        batch_size=16 if num_layers == 28 else 8, max_steps=200_000, optimizer=optimizer, checkpoint_minutes=30.0
    )
    return replace(
        gpu(),
        model=ModelConfig(codec=codec, transformer=transformer, shape=shape),
        buckets=variations(shape),
        transformer=run,
    )


@dataclass(frozen=True)
class CurriculumStage:
    """A resolution, with the single-shot and the multi-shot clips (`films`) that the transformer is trained on."""

    name: str
    clips: Preset
    films: Preset
    num_portions: int = 1
    """The clips are rendered in so many portions, each before an equal share of the steps that uses all clips so far.
    A run then learns from its first hour, and its clips are not older than its code."""


@dataclass(frozen=True)
class Curriculum:
    """The training of a codec, then of the transformer at increasing resolutions, then of the decoder alone, then of
    adapters for few steps. Each stage starts from the weights of the stage before, and uses its clips too: they cost a
    fraction of the larger ones."""

    codec: Preset
    """Data and schedule of the codec."""
    stages: tuple[CurriculumStage, ...]
    decoder: Preset
    """Data and schedule of the decoder at the last resolution; the schedule is that of `codec`."""
    distillation: DistillationConfig
    """To few steps, at the end."""


def stage() -> Curriculum:
    """The default model: the `stage` world and its films, at 64×64 and then at 128×128 pixels.

    `python runs/default.py`. A sample of 64×64 takes 5.2 GFLOPs and one of 128×128 21, or 5.4 for the high-noise
    transformer, which only the last stage has. The learning rate is constant until the last third of the last stage, in
    which it falls to 0. The default weights were made with fewer clips and steps (docs/model-card.md).
    """
    base = replace(cpu().model, transformer=replace(cpu().model.transformer, hourglass_spatial_attention=True))
    optimizer = OptimizerConfig(
        muon_lr=0.01,
        adam_lr=5e-4,
        muon_every=2,
        warmup_fraction=0.01,
        cooldown_fraction=0.0,
        ema_decays=(0.999, 0.9995),
    )

    def sized(name: str, scale: int, num_clips: int, run: TrainConfig) -> CurriculumStage:
        square, wide, tall = (VideoShape(17, scale * h, scale * w) for h, w in ((64, 64), (48, 80), (80, 48)))
        three, four = (replace(square, num_frames=frames) for frames in (25, 33))
        model = replace(base, shape=square, multi_shot=True, max_multi_shot_frames=four.num_frames)
        buckets = (square, square, square, wide, square, square, square, tall)
        clips = Preset(model, "stage", 0, num_clips, buckets, languages=LANGUAGES, transformer=run)
        films = replace(
            clips, world="stage-film", num_clips=num_clips // (4 * scale), buckets=(three, three, three, four)
        )
        return CurriculumStage(name, clips, films, num_portions=8)

    small = TrainConfig(batch_size=8, max_steps=120_000, optimizer=optimizer, log_every=50)
    gentle = replace(optimizer, muon_lr=0.005, adam_lr=3e-4, cooldown_fraction=0.33, ema_decays=(0.998, 0.9995))
    large = replace(small, max_steps=12_000, optimizer=gentle)
    last = sized("128", 2, 12_000, large)
    # The transformer of 64×64: a token has four times the latent positions, and their mean has half the noise.
    coarse = replace(base.transformer, patch_size=(1, 4, 4), time_shift=2.0)
    clips = replace(
        last.clips,
        model=replace(last.clips.model, high_noise=HighNoiseConfig(coarse, boundary=0.8)),
        high_noise=replace(large, batch_size=16, max_steps=15_000),
    )
    codec = Preset(base, "stage", num_clips=2_000, buckets=(VideoShape(17, 64, 64),), codec=cpu().codec)
    tuned = TrainConfig(
        batch_size=2,
        max_steps=3_000,
        optimizer=OptimizerConfig(muon_lr=0.004, adam_lr=2e-4, muon_every=2, ema_decays=(0.99, 0.995)),
    )
    decoder = Preset(base, "stage", num_clips=600, buckets=(VideoShape(17, 128, 128),), shard_size=50, codec=tuned)
    few_steps = DistillationConfig(lora_rank=8, max_steps=750, num_clips=1_000)
    return Curriculum(codec, (sized("64", 1, 24_000, small), replace(last, clips=clips)), decoder, few_steps)


def tiny_stage() -> Curriculum:
    """The same stages in seconds, of a model that learns almost nothing."""
    base = tiny()
    run = replace(base.transformer, max_steps=4)

    def sized(name: str, side: int) -> CurriculumStage:
        shape = VideoShape(9, side, side)
        model = replace(base.model, shape=shape, multi_shot=True, max_multi_shot_frames=17)
        clips = Preset(model, "stage", 0, 4, (shape,), shard_size=2, languages=("de", "zh"), transformer=run)
        films = replace(clips, world="stage-film", num_clips=2, buckets=(replace(shape, num_frames=17),))
        return CurriculumStage(name, clips, films, num_portions=2)

    codec = replace(base, world="stage", num_clips=6, codec=replace(base.codec, max_steps=4))
    last = sized("48", 48)
    coarse = replace(base.model.transformer, patch_size=(1, 3, 3), time_shift=1.5)
    model = replace(last.clips.model, high_noise=HighNoiseConfig(coarse))
    last = replace(last, clips=replace(last.clips, model=model, high_noise=run))
    few_steps = DistillationConfig(lora_rank=2, max_steps=4, batch_size=2, num_clips=2)
    return Curriculum(codec, (sized("32", 32), last), decoder=codec, distillation=few_steps)


def variations(shape: VideoShape) -> tuple[VideoShape, ...]:
    """Half of the buckets have `shape`; the others are wider, taller, twice as long, and of half the frame rate.

    Wider and taller ones have about as many pixels. Sides are multiples of 16.
    """

    def sized(height: float, width: float) -> VideoShape:
        return replace(shape, height=16 * round(height / 16), width=16 * round(width / 16))

    wide = sized(0.75 * shape.height, 1.25 * shape.width)
    tall = sized(1.25 * shape.height, 0.75 * shape.width)
    longer = replace(shape, num_frames=2 * shape.num_frames - 1)
    return (shape, wide, shape, tall, shape, longer, shape, replace(shape, fps=shape.fps / 2))


def finetuning(max_steps: int, batch_size: int, lora_rank: int | None) -> TrainConfig:
    """A short run from trained weights; `lora_rank` is that of its adapters, None trains all weights."""
    muon_lr, adam_lr = (0.0, 1e-3) if lora_rank else (0.002, 1e-4)
    optimizer = OptimizerConfig(muon_lr, adam_lr=adam_lr, cooldown_fraction=0.5, ema_decays=(0.98, 0.99))
    return TrainConfig(batch_size=batch_size, max_steps=max_steps, optimizer=optimizer)


PRESETS: dict[str, Callable[[], Preset]] = {
    "tiny": tiny,
    "cpu": cpu,
    "gpu": gpu,
    "400m": partial(large, 28),
    "2b": partial(large, 48),
}
CURRICULA = {"stage": stage, "tiny-stage": tiny_stage}
