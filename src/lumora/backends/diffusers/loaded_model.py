"""A model in memory: its parts, loaded once, as the pipeline that the next window needs."""

from __future__ import annotations

import gc
import inspect
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import FirstBlockCacheConfig  # pyright: ignore[reportPrivateImportUsage]
from safetensors import safe_open

from lumora.backends.diffusers.catalog import CatalogEntry
from lumora.backends.diffusers.few_step_scheduler import FewStepScheduler
from lumora.backends.diffusers.lora import LoraFile, load_loras
from lumora.backends.diffusers.memory_planning import MemoryPlan
from lumora.precision import fast_dtype

BLOCKS_ON_GPU = 1
"""Transformer blocks that are streamed together."""


class LoadedModel:
    """The pipelines of one model. They share their parts; one of them is set up at a time."""

    def __init__(
        self,
        entry: CatalogEntry,
        folder: Path,
        device: torch.device,
        loras: Sequence[LoraFile],
        memory: MemoryPlan | None,
        transformer_file: Path | None = None,
        step_cache: float | None = None,
    ) -> None:
        _be_quiet()
        self.device, self.memory = device, memory
        family = entry.calls
        name = family.text_pipeline or family.given_pipeline
        assert name is not None
        self._pipe = _read(folder, name, fast_dtype(device), transformer_file)
        self._pipe.set_progress_bar_config(disable=True)
        if entry.noise_levels:
            self._pipe.scheduler = FewStepScheduler(entry.noise_levels, entry.adds_noise)
        if family.name.startswith("wan"):
            self._pipe.vae.to(torch.float32)  # in bfloat16 its frames show blocks
        load_loras(self._pipe, loras)
        if step_cache is not None:
            for transformer in self.transformers:
                transformer.enable_cache(FirstBlockCacheConfig(step_cache))
        self._set_up()

    def pipeline(self, name: str) -> Any:
        """The pipeline of a class of diffusers, with the model's parts."""
        if type(self._pipe).__name__ != name:
            self._pipe.remove_all_hooks()
            self._pipe = _with_parts(name, self._pipe)
            self._pipe.set_progress_bar_config(disable=True)
            self._set_up()
        return self._pipe

    def release(self) -> None:
        """Gives memory of a call that failed back, and forgets what caches hold of it."""
        self._pipe.maybe_free_model_hooks()
        free_memory()

    @property
    def transformers(self) -> list[Any]:
        parts = (self._pipe.transformer, getattr(self._pipe, "transformer_2", None))
        return [part for part in parts if part is not None]

    def _set_up(self) -> None:
        pipe, memory = self._pipe, self.memory
        if memory is None or self.device.type == "cpu":
            pipe.to(self.device)
            return
        for transformer in self.transformers:
            if (memory.is_fp8 or memory.is_int8) and not getattr(transformer, "_lumora_is_8_bit", False):
                if memory.is_fp8:
                    transformer.enable_layerwise_casting(torch.float8_e4m3fn, transformer.dtype)
                else:
                    quantize_to_int8(transformer)
                transformer._lumora_is_8_bit = True
        if memory.vae_tiling and hasattr(pipe.vae, "enable_tiling"):
            pipe.vae.enable_tiling()
        if memory.level.startswith("full"):
            pipe.to(self.device)
        elif memory.streams:
            pipe.enable_group_offload(
                onload_device=self.device,
                offload_device=torch.device("cpu"),
                offload_type="block_level",
                num_blocks_per_group=BLOCKS_ON_GPU,
            )
        else:
            pipe.enable_model_cpu_offload(device=self.device)


def quantize_to_int8(transformer: torch.nn.Module) -> None:
    """Stores the weights of linear layers as int8, with one scale for each output channel (torchao); activations stay.

    Those of LoRA files stay too.
    """
    from torchao.quantization import (  # pyright: ignore[reportMissingImports]
        Int8WeightOnlyConfig,
        quantize_,
    )

    def is_quantized(module: torch.nn.Module, name: str) -> bool:
        return isinstance(module, torch.nn.Linear) and ".lora_" not in name

    quantize_(transformer, Int8WeightOnlyConfig(version=2), is_quantized)


def free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _read(folder: Path, name: str, dtype: torch.dtype, transformer_file: Path | None) -> Any:
    import diffusers

    try:
        parts = _parts_of_file(transformer_file, folder, dtype) if transformer_file else {}
        return getattr(diffusers, name).from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=dtype, **parts
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"The model in {folder} cannot be loaded: {first_line}") from error


def _parts_of_file(file: Path, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """The transformer, and the VAE if there is one, of a file in the format of the model's authors."""
    import diffusers

    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    with safe_open(file, "pt") as content:
        has_vae = any(name.startswith("vae.") for name in content.keys())  # noqa: SIM118
    return {
        part: getattr(diffusers, index[part][1])
        .from_single_file(str(file), config=str(folder), subfolder=part, local_files_only=True, dtype=dtype)
        .eval()
        for part in ("transformer", "vae")[: 1 + has_vae]
    }


def _with_parts(name: str, pipe: Any) -> Any:
    """A pipeline of another class with the same parts and settings."""
    import diffusers

    kind = getattr(diffusers, name)
    parts = pipe.components
    known = {**{key: value for key, value in pipe.config.items() if not key.startswith("_")}, **parts}
    wanted = inspect.signature(kind.__init__).parameters
    return kind(**{key: value for key, value in known.items() if key in wanted and value is not None})


def _be_quiet() -> None:
    """The libraries print bars and advice; lumora has its own progress and sentences."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    logging.getLogger("diffusers").setLevel(logging.ERROR)
