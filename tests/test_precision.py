"""The dtype of a CPU, and weights files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lumora.precision import autocast, fast_dtype
from lumora.weights_io import load_weights, save_weights

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_an_environment_variable_sets_the_dtype_of_the_cpu(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv("LUMORA_CPU_DTYPE", name)
    assert fast_dtype(CPU) == getattr(torch, name)
    assert fast_dtype(torch.device("cuda")) == torch.bfloat16
    with autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == getattr(torch, name)


def test_another_dtype_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LUMORA_CPU_DTYPE", "float16")
    with pytest.raises(ValueError, match="must be float32 or bfloat16, not 'float16'"):
        fast_dtype(CPU)


def test_weights_keep_the_dtype_of_their_module(tmp_path: Path):
    saved, file = nn.Linear(3, 2), tmp_path / "new" / "weights.safetensors"
    save_weights(saved, file)
    loaded = load_weights(nn.Linear(3, 2), file)
    assert loaded.weight.dtype == torch.float32
    assert torch.equal(loaded.weight, saved.weight.bfloat16().float())


def test_wrong_weights_files_are_refused(tmp_path: Path):
    broken, other = tmp_path / "broken.safetensors", tmp_path / "other.safetensors"
    with pytest.raises(ValueError, match="There is no file"):
        load_weights(nn.Linear(3, 2), broken)
    broken.write_bytes(b"no tensors")
    save_file({"another.weight": torch.zeros(1)}, other)
    for file in (broken, other):
        with pytest.raises(ValueError, match="does not hold weights of"):
            load_weights(nn.Linear(3, 2), file)
