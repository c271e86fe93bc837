"""A transformer is adapted to the latents of another codec."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lumora.config import TransformerConfig, VideoShape
from lumora.data.datasets import LatentDataset
from lumora.data.latent_cache import latent_path, save_latent_shard
from lumora.model.packing import Batch
from lumora.model.transformer import Transformer
from lumora.train.transplant import transplant

CONFIG = TransformerConfig(latent_channels=3, hidden_size=32, num_layers=1, head_dim=16)


def write(folder: Path, latents: Tensor) -> LatentDataset:
    """A shard of clips with the latents (n, c, t, h, w). Mirror images have the same latents."""
    folder.mkdir()
    shape, subject = VideoShape(5, 32, 32), torch.zeros(latents[:, 0].shape, dtype=torch.uint8)
    views = [[[(torch.zeros(1, 384), latents.shape[2])]]] * (2 * len(latents))
    save_latent_shard(latent_path(folder, 0), shape, torch.stack([latents, latents]), subject, views)
    return LatentDataset(folder)


@pytest.mark.parametrize("hourglass_hidden_size", [0, 16])
def test_predictions_are_the_same_in_the_new_latents(tmp_path: Path, hourglass_hidden_size: int):
    torch.manual_seed(0)
    mixing = torch.linalg.qr(torch.randn(5, 5))[0][:3]  # three channels become five
    x = torch.randn(12, 3, 2, 4, 4)
    y = torch.einsum("nc...,cd->nd...", x, mixing)
    before, after = write(tmp_path / "before", x), write(tmp_path / "after", y)
    config = replace(CONFIG, hourglass_hidden_size=hourglass_hidden_size, hourglass_num_layers=1)
    old, new = Transformer(config), Transformer(replace(config, latent_channels=5))
    for parameter in old.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    assert transplant(old, new, before, after) > 0.999

    def predicted(network: Transformer, latents: Tensor) -> Tensor:
        times, seconds = torch.full((2,), 0.5), torch.arange(2.0)
        with torch.no_grad():
            return torch.stack(network(Batch([*latents], [times] * 12, [torch.zeros(2, 384)] * 12, [seconds] * 12)))

    expected = torch.einsum("nc...,cd->nd...", predicted(old, x), mixing)
    assert torch.allclose(predicted(new, y), expected, atol=1e-3) and expected.std() > 0.1


def test_other_networks_or_clips_are_refused(tmp_path: Path):
    few, many = (
        write(tmp_path / "few", torch.randn(2, 3, 2, 4, 4)),
        write(tmp_path / "many", torch.randn(3, 3, 2, 4, 4)),
    )
    wider = Transformer(replace(CONFIG, hidden_size=64))
    with pytest.raises(ValueError, match="same hidden size"):
        transplant(Transformer(CONFIG), wider, few, few)
    with pytest.raises(ValueError, match="same hidden size"):
        transplant(Transformer(CONFIG), Transformer(replace(CONFIG, num_layers=2)), few, few)
    with pytest.raises(ValueError, match="same clips"):
        transplant(Transformer(CONFIG), Transformer(CONFIG), few, many)


def test_an_hourglass_that_the_old_network_lacks_keeps_its_weights(tmp_path: Path):
    clips = write(tmp_path / "clips", torch.randn(12, 3, 2, 4, 4))
    new = Transformer(replace(CONFIG, hourglass_hidden_size=16))
    fine = {name: w.clone() for name, w in new.state_dict().items() if name.startswith("hourglass.")}
    transplant(Transformer(CONFIG), new, clips, clips)
    assert all(torch.equal(new.state_dict()[name], w) for name, w in fine.items())
