"""Captions by a vision-language model of transformers: a tiny LLaVA with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_parts import PRINTABLE  # first: it keeps the libraries offline

import transformers  # isort: skip
from lumora.cli import main
from lumora.data.footage.transformers_captioner import TransformersCaptioner
from lumora.media.video import Video

FRAMES = np.random.default_rng(0).integers(0, 256, (9, 32, 48, 3), np.uint8)
TEMPLATE = (
    "{% for message in messages %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    letters = [" ", "\n", *PRINTABLE]
    vocabulary = {token: index for index, token in enumerate(["<pad>", "</s>", "<unk>", "<image>", *letters])}
    tokenizer = transformers.LlamaTokenizer(
        vocab=vocabulary, merges=[], extra_special_tokens={"image_token": "<image>"}
    )
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8})
    processor = transformers.LlavaProcessor(
        pictures,
        tokenizer,
        patch_size=4,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    )
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    vision = transformers.CLIPVisionConfig(**sizes, image_size=8, patch_size=4)
    text = transformers.LlamaConfig(
        **sizes, num_key_value_heads=2, vocab_size=len(vocabulary), pad_token_id=0, eos_token_id=1
    )
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=vocabulary["<image>"], vision_feature_layer=-1
    )
    network = transformers.LlavaForConditionalGeneration(config)
    network.generation_config.suppress_tokens = [0, 1, 2, 3]
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_it_sees_the_frames(model: Path, monkeypatch: pytest.MonkeyPatch):
    captioner = TransformersCaptioner(model, num_frames=2, device="cpu")
    monkeypatch.setattr("lumora.data.footage.transformers_captioner.MAX_NEW_TOKENS", 8)
    shapes: list[Any] = []
    tower = captioner._model.model.vision_tower
    tower.register_forward_pre_hook(
        lambda _, args, words: shapes.append((args or [words["pixel_values"]])[0].shape), with_kwargs=True
    )
    caption = captioner.caption(FRAMES, 8.0)
    assert 0 < len(caption) <= 8 and shapes == [(2, 3, 8, 8)], "Pictures are read once; later steps use the cache."
    assert caption == captioner.caption(FRAMES, 8.0)


def test_the_command_uses_a_folder(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Video(FRAMES, 8.0).save(tmp_path / "clip.mp4")
    assert main(["data", "caption", str(tmp_path / "clip.mp4"), "--vlm", str(model), "--device", "cpu"]) == 0
    assert capsys.readouterr().out.strip()
    assert main(["data", "caption", str(tmp_path / "clip.mp4"), "--vlm", str(tmp_path)]) == 2
    assert "no vision-language model" in capsys.readouterr().err
