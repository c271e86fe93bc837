"""Test setup: array shapes in signatures are checked, torch uses one thread, and hypothesis has no deadline, because
the machine may be busy."""

import pkgutil
from pathlib import Path

from jaxtyping import install_import_hook

SOURCE = Path(__file__).parents[1] / "src" / "lumora"
# The checks make the sampler of scenes and the word lists, which call small functions and copy scenes often, two to
# five times as slow.
UNCHECKED = ("lumora.safety", "lumora.world", "lumora.world.physics", "lumora.world.sample", "lumora.world.scene")
CHECKED = [
    name
    for folder, prefix in ((SOURCE, "lumora."), (SOURCE / "world", "lumora.world."))
    for name in (prefix + module.name for module in pkgutil.iter_modules([str(folder)]))
    if name not in UNCHECKED
]
install_import_hook(CHECKED, "beartype.beartype")

import os  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

if TYPE_CHECKING:
    from lumora import Pipeline

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # as in tiny_parts.py, before a test imports diffusers
torch.set_num_threads(1)
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder (keys, certificates, registry) for the tests and for the processes that they start."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["LUMORA_STATE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with random weights, in the file format of a real one."""
    from safetensors.torch import save_file

    from lumora import config
    from lumora.codec import Codec
    from lumora.model.transformer import Transformer

    codec = config.CodecConfig(
        latent_channels=4, encoder_channels=(16, 16, 32), decoder_channels=(32, 16, 16), num_res_blocks=1
    )
    transformer = config.TransformerConfig(latent_channels=4, hidden_size=64, num_layers=1)
    model = config.ModelConfig(codec, transformer, shape=config.VideoShape(5, 32, 48, 8.0))
    folder = tmp_path_factory.mktemp("weights")
    (folder / "model.json").write_text(config.to_json(model))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, network in {"codec": Codec(codec), "transformer": Transformer(transformer)}.items():
            numbers = {key: w + 0.05 * torch.randn_like(w) for key, w in network.state_dict().items()}
            save_file({key: w.bfloat16().contiguous() for key, w in numbers.items()}, folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="session")
def tiny_wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Wan text-to-video model."""
    from tiny_models import save_tiny_model

    folder = tmp_path_factory.mktemp("tiny") / "tiny-wan"
    save_tiny_model("wan", folder)
    return folder


@pytest.fixture(scope="session")
def pipeline(weights: Path) -> "Pipeline":
    from lumora import Pipeline

    return Pipeline.from_pretrained(weights)


@pytest.fixture
def quick_review(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of the frame review finds nothing and takes no time; the tests of safety run it."""
    monkeypatch.setattr("lumora.safety.nudity.NudityCheck.scores", lambda _, images: np.zeros(len(images), np.float32))
