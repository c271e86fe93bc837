"""Configuration as frozen dataclasses, and their conversion to and from JSON. Unknown keys are errors."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class CodecConfig:
    """The video autoencoder.

    A latent is `spatial_compression` times smaller in height and width, and has one latent frame for the first frame
    and one for every `temporal_compression` further ones.
    """

    spatial_compression: int = 16
    temporal_compression: int = 4
    latent_channels: int = 32
    encoder_channels: tuple[int, ...] = (48, 96, 192)
    """Channels at 1/4, 1/8, 1/16 … of the size of a frame; the last entry is for the size of the latent."""
    decoder_channels: tuple[int, ...] = (192, 96, 48)
    """The same in the order of the decoder, from the latent up."""
    num_res_blocks: int = 2


@dataclass(frozen=True)
class TransformerConfig:
    """The diffusion transformer. `model.transformer.scaled_config` sets all sizes from the number of blocks."""

    latent_channels: int = 32
    patch_size: tuple[int, int, int] = (1, 2, 2)
    """Latent frames, rows and columns of a token."""
    hidden_size: int = 256
    num_layers: int = 6
    head_dim: int = 64
    context_dim: int = 384
    hourglass_hidden_size: int = 0
    """Hidden size of the blocks on half as large tokens, before and after the others (`model.hourglass`). 0: none."""
    hourglass_num_layers: int = 2
    """Number of these blocks before the others, and number after them."""
    hourglass_spatial_attention: bool = False
    """Whether the tokens of these blocks attend within their latent frame only, not within the whole clip."""
    time_shift: float = 1.0
    """The network works at times t / (a − (a − 1)·t), a being this shift, instead of t. With n times as many latent
    positions in a token, a = √n: their mean has as much less noise (SD3, arXiv:2403.03206, eq. 23)."""


@dataclass(frozen=True)
class FlowConfig:
    """Flow matching with x-prediction (JiT, arXiv:2511.13720); t = 0 is data, t = 1 is noise."""

    logit_mean: float = 0.8
    """Mean of the logit of the training time, which is normal; positive values shift times towards noise."""
    logit_std: float = 0.8
    """Standard deviation of the logit of the training time."""
    base_seq_len: int = 80
    """Number of video tokens that `logit_mean` is for; with more tokens, times are shifted further towards noise."""
    time_range: tuple[float, float] = (0.0, 1.0)
    """Training times lie between these; a transformer that samples at some times only is trained on those."""
    t_min: float = 0.05
    """Below this t, 1/t is clamped when x-prediction becomes a velocity; sampling jumps from here to data."""
    foreground_weight: float = 16.0
    """Extra loss weight, at t = 0, of positions that subjects cover: they are few, and the prompt describes them."""
    caption_dropout: float = 0.1
    """Probability that the text of an example is dropped, for classifier-free guidance."""
    condition_noise: float = 0.03
    """Time (noise level) of half of the condition frames in training, which reduces drift in long videos."""


@dataclass(frozen=True)
class OptimizerConfig:
    """Muon for matrices and Adam for all other parameters."""

    muon_lr: float = 0.02
    muon_every: int = 1
    """Steps per update of the matrices; the update is as many times larger. 2 halves the cost of Muon."""
    adam_lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_fraction: float = 0.02
    """Fraction of the steps in which the learning rates rise."""
    cooldown_fraction: float = 1.0
    """Fraction of the steps, at the end, in which the learning rates fall to 0; they are constant before. 1: all steps
    after the warm-up."""
    ema_decays: tuple[float, ...] = (0.99, 0.998, 0.9995)
    """An average of the weights is kept for each decay."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run. `max_steps` is the length of the schedule; `--max-minutes` may end a session earlier, and the
    same command continues it."""

    batch_size: int = 64
    """Clips per step and process."""
    max_steps: int | None = 4000
    """None: as many as fit in `max_minutes`."""
    max_minutes: float | None = None
    """Training time of all sessions together, from which the steps are estimated if `max_steps` is None. None: the time
    limit of the first session."""
    seed: int = 0
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of activations; weights are fp32. A CPU without bfloat16 instructions computes in fp32 in both cases."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    checkpoint_minutes: float = 4.0
    """Time between checkpoints."""
    log_every: int = 10
    """Steps between log entries."""


@dataclass(frozen=True)
class DistillationConfig:
    """To how many steps a model is distilled, and for how long."""

    num_inference_steps: int = 4
    teacher_steps: int = 4
    """Steps of the teacher (Adams-Bashforth) for one of the student."""
    lora_rank: int = 64
    max_steps: int = 600
    batch_size: int = 8
    world: str = "stage"
    """Preset of the world whose captions are used."""
    num_clips: int = 600
    """Clips of the world; a model of several shots gets a quarter as many films too, if the world has films."""


@dataclass(frozen=True)
class Resolution:
    """Size of a picture in pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Resolution:
        """The inverse of `str`. Raises ValueError for another text."""
        width, height = text.split("x")
        return cls(int(width), int(height))

    def within(self, side: int) -> Resolution:
        """The size of this shape whose longer side is at most `side` pixels."""
        scale = min(1.0, side / max(self.width, self.height))
        return Resolution(max(1, round(scale * self.width)), max(1, round(scale * self.height)))

    @property
    def aspect_ratio(self) -> float:
        """Width by height."""
        return self.width / self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class VideoShape:
    """Size of a clip in frames and pixels, and its frames per second."""

    num_frames: int = 17
    height: int = 128
    width: int = 128
    fps: float = 8.0

    @property
    def resolution(self) -> Resolution:
        return Resolution(self.width, self.height)


TRANSFORMER, HIGH_NOISE_TRANSFORMER = "transformer", "high_noise_transformer"
"""Names of the transformers of a model: of their weights files, before `.safetensors`, and of their training runs."""
TextEncoderName: TypeAlias = Literal["multilingual-e5-small"]


@dataclass(frozen=True)
class HighNoiseConfig:
    """A second transformer, which makes the predictions at times above `boundary` (eDiff-I, arXiv:2211.01324).

    Near noise little detail is left, so it can have larger patches and see more samples in the same time.
    """

    transformer: TransformerConfig
    boundary: float = 0.6
    logit_mean: float = 2.0
    """As `FlowConfig.logit_mean`, for this transformer. What a video shows is decided near noise."""


@dataclass(frozen=True)
class ModelConfig:
    """A model: all that is needed to build its networks and to load its weights. Stored as model.json."""

    codec: CodecConfig = field(default_factory=CodecConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    high_noise: HighNoiseConfig | None = None
    """Another transformer for the noisy part of sampling; None: `transformer` makes all predictions."""
    flow: FlowConfig = field(default_factory=FlowConfig)
    shape: VideoShape = field(default_factory=VideoShape)
    """The shape that the model was mainly trained on; the default of `lumora generate`."""
    text_encoder: TextEncoderName = "multilingual-e5-small"
    """The frozen network that reads prompts."""
    multi_shot: bool = False
    """Whether the model was trained on hard cuts. If so, all shots of a video are sampled together, each with its own
    prompt."""
    max_multi_shot_frames: int = 0
    """Frames of the longest multi-shot clips that it was trained on and can sample at once; 0: as in `shape`."""

    def transformers(self) -> dict[str, ModelConfig]:
        """Each transformer by its name, as a model of its own that is trained at the times of its predictions only.

        Below the boundary, times are distributed as if one transformer was trained at all of them.
        """
        if self.high_noise is None:
            return {TRANSFORMER: self}
        other, boundary = self.high_noise.transformer, self.high_noise.boundary
        # The shift of the times counts tokens, and a token of the other transformer covers more latent positions.
        positions = (math.prod(self.transformer.patch_size), math.prod(other.patch_size))
        base_seq_len = max(1, round(self.flow.base_seq_len * positions[0] / positions[1]))
        low = replace(self.flow, time_range=(0.0, boundary))
        high = replace(
            self.flow, time_range=(boundary, 1.0), base_seq_len=base_seq_len, logit_mean=self.high_noise.logit_mean
        )
        return {
            TRANSFORMER: replace(self, high_noise=None, flow=low),
            HIGH_NOISE_TRANSFORMER: replace(self, transformer=other, high_noise=None, flow=high),
        }

    def trained_frames(self, together: bool) -> int:
        """Frames of the longest clips that it was trained on, with several shots sampled `together` or with one."""
        return max(self.shape.num_frames, self.max_multi_shot_frames) if together else self.shape.num_frames


def to_json(config: Any) -> str:
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(cls: type[T], text: str) -> T:
    """The inverse of `to_json`. Raises ValueError for anything that is not exactly a `cls`."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"This is not a JSON configuration: {error}.") from error
    return from_dict(cls, value)


def from_dict(cls: type[T], value: Any, where: str = "") -> T:
    """A `cls` from dicts and lists, checked field by field. Raises ValueError that names the wrong field."""
    return _convert(cls, value, where or cls.__name__)


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(kind, value, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, where)
    if origin is Literal:
        if value not in args:
            choices = ", ".join(map(str, args))
            raise ValueError(f"{where} must be {choices if len(args) == 1 else f'one of {choices}'}, not {value!r}.")
        return value
    if origin is tuple:
        return _convert_tuple(args, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{where} must be of type {kind.__name__}, not {value!r}.")
    return value


def _convert_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object with named fields, not {value!r}.")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise ValueError(f"{where} has no field {unknown[0]!r}; it has {', '.join(hints)}.")
    required = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in value
    ]
    if required:
        raise ValueError(f"{where} lacks the field {required[0]!r}.")
    return kind(**{name: _convert(hints[name], item, f"{where}.{name}") for name, item in value.items()})


def _convert_tuple(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{where} must be a list, not {value!r}.")
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(args) != len(value):
        raise ValueError(f"{where} must have {len(args)} items, not {len(value)}.")
    return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True)))
