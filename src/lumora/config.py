"""The whole configuration as a tree of frozen dataclasses, with a JSON round trip where an unknown key is an error."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class CodecConfig:
    """The video compression network: `space`× smaller in height and width, `time`× in frames (after the first)."""

    spatial_compression: int = 16
    temporal_compression: int = 4
    latent_channels: int = 32
    """Latent channels."""
    encoder_channels: tuple[int, ...] = (48, 96, 192)
    """Channels at 1/4, 1/8, 1/16 … of the picture's size; the last one is at the latent's."""
    decoder_channels: tuple[int, ...] = (192, 96, 48)
    num_res_blocks: int = 2


@dataclass(frozen=True)
class TransformerConfig:
    """The diffusion transformer. `dial` is the one size knob of `model.transformer.sized`; these are what it sets."""

    latent_channels: int = 32
    patch_size: tuple[int, int, int] = (1, 2, 2)
    hidden_size: int = 256
    num_layers: int = 6
    head_dim: int = 64
    context_dim: int = 384
    hourglass_hidden_size: int = 0
    """Of the blocks that look at single latent places, before and after the others (see `model.fine`); 0: none."""
    hourglass_num_layers: int = 2
    """How many of them before, and how many after."""


@dataclass(frozen=True)
class FlowConfig:
    """Flow matching with x-prediction (JiT, arXiv:2511.13720); t = 0 is data, t = 1 is noise."""

    logit_mean: float = 0.8
    """Mean of the logit-normal training time: positive is shifted to noise."""
    logit_std: float = 0.8
    base_seq_len: int = 80
    """Video tokens to which `time_mean` belongs; more tokens shift time further to noise."""
    t_min: float = 0.05
    """1/t is clamped at this t where x-prediction is turned into a velocity; sampling leaps from here to data."""
    foreground_weight: float = 16.0
    """Extra weight, at t = 0, of what subjects cover: few tokens, and all that the words are about."""
    caption_dropout: float = 0.1
    condition_noise: float = 0.03
    """Time that half of the kept (condition) frames carry in training, against drift."""


@dataclass(frozen=True)
class OptimizerConfig:
    muon_lr: float = 0.02
    muon_every: int = 1
    """Steps for each update of Muon's matrices, which then is as many times larger: half of its cost at 2."""
    adam_lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_fraction: float = 0.02
    """Share of the run."""
    cooldown_fraction: float = 1.0
    """Share of the run at its end in which the rates fall to 0; they are constant before. 1: all but the warm-up."""
    ema_decays: tuple[float, ...] = (0.99, 0.998, 0.9995)


@dataclass(frozen=True)
class TrainConfig:
    """One run. `steps` fixes the schedule; `--minutes` may end a sitting earlier and the same command resumes it."""

    batch_size: int = 64
    """Clips a step and process."""
    max_steps: int | None = 4000
    """None: as many as fit in `minutes`."""
    max_minutes: float | None = None
    """Of a run whose steps are None: what its steps are estimated for, in all sittings; None: the first sitting's."""
    seed: int = 0
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of activations; weights are fp32. A CPU without instructions for bf16 computes in fp32 whatever is said here."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    checkpoint_minutes: float = 4.0
    log_every: int = 10


@dataclass(frozen=True)
class VideoShape:
    """Frames, height, width in pixels; frames a second."""

    num_frames: int = 17
    height: int = 128
    width: int = 128
    fps: float = 8.0


@dataclass(frozen=True)
class ModelConfig:
    """All that is needed to make the networks of a model from its weights."""

    codec: CodecConfig = field(default_factory=CodecConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    shape: VideoShape = field(default_factory=VideoShape)
    """The shape it makes best, and by default."""
    multi_shot: bool = False
    """Whether it has learnt hard cuts: then all shots of a video are made in one take, each by its own words."""
    max_multi_shot_frames: int = 0
    """Frames of the longest films that it was trained on, which it makes at once; 0: those of `shape`."""

    def trained_frames(self, together: bool) -> int:
        """Frames of the longest clips of one shot that it was trained on, or of several that are made `together`."""
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
    """A `cls` from plain dicts and lists, checked field by field; raises ValueError naming the place that is wrong."""
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
            raise ValueError(f"{where} must be one of {', '.join(map(str, args))}, not {value!r}.")
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
