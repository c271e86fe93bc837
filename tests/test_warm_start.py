"""Weights of a trained transformer in one of another depth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import CONFIG, random_transformer
from test_model import batch_of

from lumora.config import ModelConfig, to_json
from lumora.train.warm_start import warm_start
from lumora.weights_io import save_weights

MODEL = ModelConfig(transformer=CONFIG)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    save_weights(random_transformer().bfloat16(), folder / "transformer.safetensors")
    (folder / "model.json").write_text(to_json(MODEL))
    return folder


def test_added_blocks_do_not_change_the_output(trained: Path) -> None:
    before = warm_start(trained, MODEL)
    deeper = warm_start(trained, replace(MODEL, transformer=replace(CONFIG, num_layers=4)))
    batch = batch_of([((2, 4, 4), 3), ((1, 2, 2), 0)])
    with torch.no_grad():
        for expected, found in zip(before(batch), deeper(batch), strict=True):
            assert expected.abs().max() > 0.01
            torch.testing.assert_close(found, expected)


def test_a_model_of_another_width_is_refused(trained: Path) -> None:
    wider = replace(MODEL, transformer=replace(CONFIG, hidden_size=48))
    with pytest.raises(ValueError, match="another codec or hidden size"):
        warm_start(trained, wider)
