"""A transformer is adapted to the latents of another codec or of larger pictures."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from einops import rearrange
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


@pytest.mark.parametrize("hourglass_hidden_size", [0, 16])
def test_predictions_are_the_same_in_latents_of_twice_the_size(tmp_path: Path, hourglass_hidden_size: int):
    torch.manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(12, 12))[0][:, :3]  # of the 2×2 positions that show what one did

    def enlarged(x: Tensor) -> Tensor:
        tokens = 2 * rearrange(x, "n c t y x -> (n t y x) c") @ rotation.T
        return rearrange(tokens, "(n t y x) (c p q) -> n c t (y p) (x q)", t=2, y=4, x=4, p=2, q=2)

    small = torch.randn(12, 3, 2, 4, 4)
    before, after = write(tmp_path / "before", small), write(tmp_path / "after", enlarged(small))
    config = replace(CONFIG, hourglass_hidden_size=hourglass_hidden_size, hourglass_num_layers=1)
    old, new = Transformer(config), Transformer(replace(config, patch_size=(1, 4, 4), time_shift=2.0))
    for parameter in old.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    assert transplant(old, new, before, after) > 0.999

    def predicted(network: Transformer, latents: Tensor, time: float) -> Tensor:
        times, seconds = torch.full((2,), time), torch.arange(2.0)
        with torch.no_grad():
            return torch.stack(network(Batch([*latents], [times] * 12, [torch.zeros(2, 384)] * 12, [seconds] * 12)))

    t, noise = 0.8, torch.randn(12, 3, 2, 8, 8)
    noisy = (1 - t) * enlarged(small) + t * noise
    tokens = rearrange(noise, "n c t (y p) (x q) -> n t y x (c p q)", p=2, q=2)
    small_noise = rearrange(tokens @ rotation, "n t y x c -> n c t y x")
    small_t = t / (2 - t)
    small_noisy = (1 - small_t) * small + small_t * small_noise
    expected = enlarged(predicted(old, small_noisy, small_t))
    assert torch.allclose(predicted(new, noisy, t), expected, atol=1e-3) and expected.std() > 0.1


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
