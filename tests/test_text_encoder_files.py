"""The text encoder, on a small file of its format: numbers, tokens and embeddings are read as written."""

from __future__ import annotations

import struct
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from lumora.text_encoder import TextEncoder
from lumora.text_encoder.files import CONTEXT_DIM
from lumora.text_encoder.official_e5 import WORD_EMBEDDINGS, OfficialWeights
from lumora.text_encoder.q4 import BLOCK, Q4File
from lumora.text_encoder.tokenizer import MAX_TOKENS, TextTokenizer

WIDTH, INNER, POSITIONS = CONTEXT_DIM, 64, 160
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁query:", "▁", "▁a", "▁red", "▁ball", "b", "all", "▁café"]
SCORES = [0.0, 0.0, 0.0, 0.0, -1.0, -3.0, -1.5, -2.0, -2.0, -5.0, -4.0, -2.5]


def packed(weights: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Q4_0 blocks of some weights, and the weights that they hold."""
    blocks = weights.reshape(-1, BLOCK)
    scale = (np.abs(blocks).max(axis=1, keepdims=True) / 7).astype(np.float16)
    values = np.clip(np.round(blocks / scale.astype(np.float32)), -8, 7).astype(np.int8)
    nibbles = (values + 8).astype(np.uint8)
    halves = nibbles[:, :16] | nibbles[:, 16:] << 4
    stored = np.concatenate([scale.view(np.uint8).reshape(-1, 2), halves], axis=1)
    return stored.tobytes(), (values * scale.astype(np.float32)).reshape(weights.shape)


def shapes() -> dict[str, tuple[int, ...]]:
    layer = {
        "q.w": (WIDTH, WIDTH), "k.w": (WIDTH, WIDTH), "v.w": (WIDTH, WIDTH), "ao.w": (WIDTH, WIDTH),
        "fi.w": (INNER, WIDTH), "fo.w": (WIDTH, INNER), "q.b": (WIDTH,), "k.b": (WIDTH,), "v.b": (WIDTH,),
        "ao.b": (WIDTH,), "fi.b": (INNER,), "fo.b": (WIDTH,), "aln.w": (WIDTH,), "aln.b": (WIDTH,),
        "oln.w": (WIDTH,), "oln.b": (WIDTH,),
    }  # fmt: skip
    embeddings = {
        "emb.word": (len(PIECES), WIDTH), "emb.pos": (POSITIONS * WIDTH,), "emb.type": (2 * WIDTH,),
        "emb.ln.w": (WIDTH,), "emb.ln.b": (WIDTH,),
    }  # fmt: skip
    return embeddings | {f"l0.{name}": shape for name, shape in layer.items()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A file with one layer, and what it holds."""
    rng = np.random.default_rng(0)
    text = "".join(PIECES).encode()
    ends = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)]).astype(np.uint32)
    norm = struct.pack("<IBI", ord("Ａ"), 1, ord("a")) + struct.pack("<IB", 1, 0)
    head = b"E5S1" + struct.pack("<i7ifi", 1, WIDTH, 1, 12, INNER, len(PIECES), POSITIONS, 2, 1e-12, BLOCK)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(text)) + ends.tobytes()
    head += np.array(SCORES, np.float32).tobytes() + text + struct.pack("<iI", 2, len(norm)) + norm
    held, bodies = {}, []
    for name, shape in shapes().items():
        weights = rng.normal(0, 0.05, shape).astype(np.float32)
        body, held[name] = packed(weights) if len(shape) == 2 else (weights.tobytes(), weights)
        bodies.append((name, int(len(shape) == 2), weights.size, body))
    offset = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 16 for name, *_ in bodies)
    directory = struct.pack("<i", len(bodies))
    for name, kind, count, body in bodies:
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, offset, len(body))
        offset += len(body)
    path = tmp_path_factory.mktemp("e5") / "small.bin"
    path.write_bytes(head + directory + b"".join(body for *_, body in bodies))
    return path, held


def test_tensors_are_read_as_written(written: tuple[Path, dict[str, np.ndarray]]) -> None:
    file = Q4File(written[0])
    for name, held in written[1].items():
        torch.testing.assert_close(file.tensor(name).reshape(held.shape), torch.from_numpy(held))
    ids = torch.tensor([[3, 0], [9, 3]])
    torch.testing.assert_close(file.rows("emb.word", ids), torch.from_numpy(written[1]["emb.word"])[ids])
    assert (file.layers, file.heads, file.hidden) == (1, 12, INNER)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(ValueError, match="not a 4-bit text encoder"):
        Q4File(path)


def test_the_likeliest_pieces_are_chosen(written: tuple[Path, dict[str, np.ndarray]]) -> None:
    tokenizer = TextTokenizer.of_vocabulary(Q4File(written[0]).vocabulary())

    def pieces(text: str) -> list[str]:
        return [PIECES[i] for i in tokenizer.encode_batch([text])[0].ids]

    assert pieces("a red ball") == ["<s>", "▁query:", "▁a", "▁red", "▁ball", "</s>"]
    assert pieces("Ａ  café\x01") == ["<s>", "▁query:", "▁a", "▁café", "</s>"]  # normalised, spaces collapsed
    assert pieces("ball?")[2:] == ["▁ball", "<unk>", "</s>"]
    assert len(pieces("a " * 500)) == MAX_TOKENS


def small_encoder(path: Path) -> TextEncoder:
    file = Q4File(path)
    return TextEncoder(file, TextTokenizer.of_vocabulary(file.vocabulary()))


@pytest.fixture
def official(written: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> Path:
    """The same weights in the layout of the official files, which have a pooler and positions besides."""
    encoder = small_encoder(written[0])
    tensors = {name: weights.contiguous() for name, weights in encoder.weights.items()}
    tensors[WORD_EMBEDDINGS] = encoder.file.embedding_rows(torch.arange(len(PIECES)))
    tensors |= {"embeddings.position_ids": torch.arange(POSITIONS)[None], "pooler.dense.bias": torch.zeros(WIDTH)}
    save_file(tensors, tmp_path / "model.safetensors")
    tokenizer = Tokenizer(models.Unigram(list(zip(PIECES, SCORES, strict=True)), 3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace("\x01", ""), normalizers.Replace("Ａ", "a")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_official_files_give_the_same_embeddings(
    written: tuple[Path, dict[str, np.ndarray]], official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["a red ball", "Ａ café\x01", "ball?", "a " * 500]
    of_wheel = small_encoder(written[0])
    with pytest.raises(ValueError, match="no known file of multilingual-e5-small"):
        TextEncoder.load(official)
    hashes = {file.name: sha256(file.read_bytes()).hexdigest() for file in official.iterdir()}
    monkeypatch.setattr("lumora.text_encoder.files.OFFICIAL_SHA256", hashes)
    encoder = TextEncoder.load(official)
    assert encoder.file.num_pieces == len(PIECES) and encoder.file.layers == 1
    for one, other in zip(encoder.encode(texts), of_wheel.encode(texts), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(encoder.layer_means(texts, (1,)), of_wheel.layer_means(texts, (1,)))
    monkeypatch.setenv("LUMORA_MULTILINGUAL_ENCODER", str(official))
    assert TextEncoder.unread("a " * 500) and not TextEncoder.unread("a red ball")
    (official / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"tokenizer\.json is missing"):
        TextEncoder.load(official)


def test_safetensors_of_another_model_are_refused(tmp_path: Path) -> None:
    save_file({"wte.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="has no BertModel"):
        OfficialWeights(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(b"{}")
    with pytest.raises(ValueError, match="cannot be read"):
        OfficialWeights(tmp_path / "model.safetensors")


def test_embeddings_depend_on_no_other_text(written: tuple[Path, dict[str, np.ndarray]]) -> None:
    encoder = small_encoder(written[0])
    together = encoder.encode(["a red ball", "café", "a a red ball"])
    assert [tuple(tokens.shape) for tokens in together] == [(6, WIDTH), (4, WIDTH), (7, WIDTH)]
    torch.testing.assert_close(encoder.encode(["café"])[0], together[1])
    means = encoder.layer_means(["a red ball", "café"], (1,))
    torch.testing.assert_close(means[:, 0], torch.stack([tokens.mean(dim=0) for tokens in together[:2]]))
