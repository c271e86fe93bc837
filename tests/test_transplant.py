"""A transformer goes on with another codec's latents as if nothing had happened."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lumora.config import TransformerConfig
from lumora.data.datasets import LatentDataset
from lumora.data.latent_cache import latent_path
from lumora.model.packing import Batch
from lumora.model.transformer import Transformer
from lumora.train.transplant import transplant

CONFIG = TransformerConfig(latent_channels=3, hidden_size=32, num_layers=1, head_dim=16)


def write(folder: Path, latents: Tensor) -> LatentDataset:
    """`latents` (n, c, t, h, w) as a shard of clips and (alike) mirror images with no captions to speak of."""
    folder.mkdir()
    count = len(latents)
    content = {
        "latents": torch.stack([latents, latents]).contiguous(),
        "subject": torch.zeros(latents[:, 0].shape, dtype=torch.uint8),
        "fps": torch.full((count,), 8.0),
        "text": torch.zeros(1, 384),
        "captions": torch.tensor([0, 1]),
        "first": torch.tensor([0, *([1] * 2 * count)]),
    }
    save_file(content, latent_path(folder, 0))
    return LatentDataset(folder)


@pytest.mark.parametrize("fine_width", [0, 16])
def test_what_it_predicts_is_the_same_in_the_new_latents(tmp_path: Path, fine_width: int):
    torch.manual_seed(0)
    mixing = torch.linalg.qr(torch.randn(5, 5))[0][:3]  # three channels become five
    x = torch.randn(12, 3, 2, 4, 4)
    y = torch.einsum("nc...,cd->nd...", x, mixing)
    before, after = write(tmp_path / "before", x), write(tmp_path / "after", y)
    config = replace(CONFIG, hourglass_hidden_size=fine_width, hourglass_num_layers=1)
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


def test_networks_and_clips_must_fit(tmp_path: Path):
    few, many = (
        write(tmp_path / "few", torch.randn(2, 3, 2, 4, 4)),
        write(tmp_path / "many", torch.randn(3, 3, 2, 4, 4)),
    )
    wider = Transformer(replace(CONFIG, hidden_size=64))
    with pytest.raises(ValueError, match="width"):
        transplant(Transformer(CONFIG), wider, few, few)
    with pytest.raises(ValueError, match="width"):
        transplant(Transformer(CONFIG), Transformer(replace(CONFIG, num_layers=2)), few, few)
    with pytest.raises(ValueError, match="same clips"):
        transplant(Transformer(CONFIG), Transformer(CONFIG), few, many)


def test_a_fine_level_that_the_old_network_lacks_stays_as_it_is(tmp_path: Path):
    clips = write(tmp_path / "clips", torch.randn(12, 3, 2, 4, 4))
    new = Transformer(replace(CONFIG, hourglass_hidden_size=16))
    fine = {name: w.clone() for name, w in new.state_dict().items() if name.startswith("fine.")}
    transplant(Transformer(CONFIG), new, clips, clips)
    assert all(torch.equal(new.state_dict()[name], w) for name, w in fine.items())
