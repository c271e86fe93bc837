"""The text encoder: agreement with the reference implementation, independence of texts, and the small copy."""

from pathlib import Path

import pytest
import torch

from lumora.text_encoder.encoder import MAX_TOKENS, TextEncoder, wheel_folder

TEXTS = ["A red ball rolls from left to right.", "crimson sphere", "", "a grumpy automaton in the dunes " * 60]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.load()


def test_embeddings_agree_with_the_reference_implementation(encoder: TextEncoder):
    transformers = pytest.importorskip("transformers")
    reference = transformers.AutoModel.from_pretrained(wheel_folder()).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(wheel_folder())
    for text, ours in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=MAX_TOKENS)
        with torch.no_grad():
            theirs = reference(**tokens).last_hidden_state[0]
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_texts_of_a_batch_are_independent(encoder: TextEncoder):
    together = encoder.encode([*TEXTS, *(f"a {n} ball" for n in range(9))], batch=4)
    for text, tokens in zip(TEXTS, together, strict=False):
        torch.testing.assert_close(tokens, encoder.encode([text])[0], atol=1e-5, rtol=1e-5)
    assert torch.equal(encoder.encode(TEXTS)[0], encoder.encode(TEXTS)[0])


def test_packed_texts_are_independent(encoder: TextEncoder):
    texts = [*TEXTS, *(f"a {n} ball on " + "a red " * n for n in range(40))]
    assert len(list(encoder.packs(texts))) > 1
    means = torch.stack([tokens.mean(0) for tokens in encoder.encode(texts)])
    torch.testing.assert_close(encoder.pooled(texts), torch.nn.functional.normalize(means), atol=1e-5, rtol=1e-4)


def test_long_texts_are_truncated_and_empty_texts_have_embeddings(encoder: TextEncoder):
    lengths = [len(tokens) for tokens in encoder.encode(TEXTS)]
    assert lengths[2] == 2
    assert lengths[3] == MAX_TOKENS


def test_synonyms_have_similar_embeddings(encoder: TextEncoder):
    known = encoder.pooled(["a red ball", "a sad robot", "a desert at night"])
    unknown = encoder.pooled(["a crimson sphere", "an unhappy automaton", "dunes under the stars"])
    assert (unknown @ known.T).argmax(1).tolist() == [0, 1, 2]
    torch.testing.assert_close(known.norm(dim=1), torch.ones(3))


def test_missing_and_wrong_weights_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LUMORA_TEXT_ENCODER", str(tmp_path))
    with pytest.raises(ValueError, match="is missing; set LUMORA_TEXT_ENCODER"):
        TextEncoder.load()
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="is not all-MiniLM-L6-v2"):
        TextEncoder.load()
