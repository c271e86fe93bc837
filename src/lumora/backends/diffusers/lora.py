"""LoRA files: small changes of a model's weights, each with a strength. An unknown key is an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumora.backends.diffusers.model_files import file_sha256


@dataclass(frozen=True)
class LoraFile:
    path: Path
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.path.suffix != ".safetensors":
            raise ValueError(f"{self.path} is not a .safetensors file; lumora reads LoRAs of this format only.")
        if not self.path.is_file():
            raise ValueError(f"There is no LoRA file {self.path}.")
        if not -10 <= self.strength <= 10:
            raise ValueError(f"The strength of a LoRA lies between -10 and 10, not {self.strength:g}.")

    @property
    def sha256(self) -> str:
        return file_sha256(self.path)


def load_loras(pipe: Any, loras: Sequence[LoraFile]) -> None:
    """Adds LoRAs to the transformers of a pipeline; they are not fused, so that removing them leaves no trace.

    Of a model with two transformers, a file with "high" or "low" in its name changes the first or the second one, and
    any other file both. Raises ValueError, in one sentence, for keys that the model does not have.
    """
    names: list[str] = []
    for number, lora in enumerate(loras):
        for second in _transformers_for(pipe, lora.path.name):
            name = f"lora_{number}_{int(second)}"
            state = _state_of(pipe, lora.path)
            _check_keys(pipe.transformer_2 if second else pipe.transformer, state, lora.path)
            options = {"load_into_transformer_2": True} if second else {}
            pipe.load_lora_weights(state, adapter_name=name, **options)
            names.append(name)
    if names:
        strengths = [loras[int(name.split("_")[1])].strength for name in names]
        _set_strengths(pipe, names, strengths)


def _set_strengths(pipe: Any, names: Sequence[str], strengths: Sequence[float]) -> None:
    for transformer in (pipe.transformer, getattr(pipe, "transformer_2", None)):
        if transformer is not None:
            own = [n for n in range(len(names)) if names[n] in getattr(transformer, "peft_config", {})]
            if own:
                transformer.set_adapters([names[n] for n in own], [strengths[n] for n in own])


def _transformers_for(pipe: Any, name: str) -> list[bool]:
    if getattr(pipe, "transformer_2", None) is None:
        return [False]
    return [True] if "low" in name.lower() else [False] if "high" in name.lower() else [False, True]


def _state_of(pipe: Any, path: Path) -> dict[str, Any]:
    if not hasattr(pipe, "lora_state_dict"):
        raise ValueError(f"A {type(pipe).__name__} takes no LoRA files.")
    try:
        state = pipe.lora_state_dict(path.parent, weight_name=path.name, local_files_only=True, use_safetensors=True)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a LoRA of this model: {error}") from None
    return state[0] if isinstance(state, tuple) else state


def _check_keys(transformer: Any, state: dict[str, Any], path: Path) -> None:
    modules = {name for name, _ in transformer.named_modules()}
    unknown = [key for key in state if _module_of(key) not in modules]
    if not state or unknown:
        example = f", such as {unknown[0]}" if unknown else ""
        raise ValueError(
            f"{path} is a LoRA of another model: {len(unknown)} of its {len(state)} keys are unknown{example}."
        )


def _module_of(key: str) -> str:
    """The module that a key of a LoRA in diffusers' format changes."""
    name = key.removeprefix("transformer.").removeprefix("transformer_2.")
    for suffix in (".lora_A.", ".lora_B.", ".lora.down.", ".lora.up.", ".alpha"):
        if suffix in f"{name}.":
            return f"{name}.".split(suffix)[0].rstrip(".")
    return name
