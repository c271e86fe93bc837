"""Tests of guard models of transformers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lumora.cli import main
from lumora.safety.guards import load_guard
from lumora.safety.moderators import frame_moderator, text_moderator
from lumora.safety.policy import Guard, Policy
from lumora.safety.verdict import Moderator

transformers = pytest.importorskip("transformers")
POLICY = Policy.load()
WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "a", "ball", "insult", "safe", "unsafe", "\n", "S10", "maybe", "<end>"]
LABELS = {"kind": "harmless", "rude": "harassment"}


def words(**about: Any) -> Any:
    """A tokenizer that knows `WORDS`."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    plain = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="[UNK]", pad_token="[PAD]", eos_token="<end>", **about
    )


def text_guard(folder: Path, logits: list[float]) -> Guard:
    """A classifier with the same logits for every text."""
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    config.id2label = dict(enumerate(LABELS))
    model = transformers.BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor(logits))
    model.save_pretrained(folder)
    words(model_max_length=16).save_pretrained(folder)
    return Guard(folder, LABELS)


def image_guard(folder: Path) -> Guard:
    """An untrained image classifier."""
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=16, patch_size=8
    )
    config.id2label = dict(enumerate(LABELS))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.ViTForImageClassification(config)
        for weight in model.parameters():
            torch.nn.init.normal_(weight)
    model.save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return Guard(folder, LABELS)


def chat_guard(folder: Path, follows: Mapping[str, str]) -> Guard:
    """A language model whose next word depends on the last word only."""
    size = len(WORDS)
    config = transformers.LlamaConfig(
        vocab_size=size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        tie_word_embeddings=False,
        max_position_embeddings=64,
        eos_token_id=WORDS.index("<end>"),
        pad_token_id=WORDS.index("[PAD]"),
    )
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        model.model.embed_tokens.weight[:, :size] = torch.eye(size)
        for first, second in follows.items():
            model.lm_head.weight[WORDS.index(second), WORDS.index(first)] = 1.0
    model.save_pretrained(folder)
    tokenizer = words()
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    return Guard(folder)


ANSWERS = {"ball": "safe", "insult": "unsafe", "unsafe": "\n", "\n": "S10", "S10": "<end>", "safe": "<end>"}


def test_a_text_classifier_scores_the_categories_of_its_labels(tmp_path: Path):
    verdict = load_guard(POLICY, text_guard(tmp_path / "rude", [0.0, 2.0])).check("a ball")
    assert verdict.refused == ("harassment",) and verdict.scores.keys() == {"harassment"}
    assert verdict.scores["harassment"].value == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-5)
    assert "guard rude, rude" in verdict.reason
    check = load_guard(POLICY, text_guard(tmp_path / "kind", [2.0, 0.0]))
    assert check.check("a ball").allowed
    too_long = Moderator([check]).check("a ball " * 9)
    assert not too_long.allowed and "longer than the 16 tokens" in (too_long.failure or "")


def test_a_guard_with_an_unmapped_label_is_an_error(tmp_path: Path):
    guard = text_guard(tmp_path, [0.0, 0.0])
    with pytest.raises(ValueError, match="a label 'rude'; add it to labels"):
        load_guard(POLICY, Guard(guard.folder, {"kind": "harmless"}))


def test_an_image_classifier_judges_every_frame(tmp_path: Path):
    with (tmp_path / "policy.toml").open("w") as file:
        file.write('version = "1"\n[[guards]]\nfolder = "eye"\nlabels = {kind = "harmless", rude = "harassment"}\n')
    image_guard(tmp_path / "eye")
    policy = Policy.load(tmp_path / "policy.toml")
    assert [guard.folder for guard in policy.guards] == [tmp_path / "eye"]
    assert [type(check).__name__ for check in text_moderator(policy).checks] == ["PromptCheck"]
    seen = [frame_moderator(policy).check(np.full((1, 8, 8, 3), grey, np.uint8)) for grey in (0, 255)]
    assert all(verdict.scores["harassment"].source == "guard eye, rude" for verdict in seen)
    dark, bright = (verdict.scores["harassment"].value for verdict in seen)
    assert abs(dark - bright) > 1e-3 and [v.allowed for v in seen] == [dark < 0.5, bright < 0.5]


def test_a_chat_guard_refuses_unsafe_and_unclear_answers(tmp_path: Path):
    check = load_guard(POLICY, chat_guard(tmp_path / "good", ANSWERS))
    assert check.check("a ball").allowed and check.check("a insult").refused == ("hate",)
    # Special tokens in the text do not end the question.
    assert check.check("a insult<end>").refused == ("hate",)
    for change in ({"ball": "maybe"}, {"ball": "unsafe", "unsafe": "<end>"}, {"ball": "safe", "safe": "\n"}):
        unclear = load_guard(POLICY, chat_guard(tmp_path / change["ball"], ANSWERS | change))
        verdict = Moderator([unclear]).check("a ball")
        assert not verdict.allowed and "is not understood" in (verdict.failure or "")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "has no transformers model"),
        ("[]", "has no transformers model"),
        ('{"architectures": ["BertModel"]}', "judges neither texts nor images"),
        ('{"architectures": ["BertForSequenceClassification"]}', "cannot be read"),
    ],
)
def test_a_folder_without_a_guard_gives_one_sentence(
    config: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "guard").mkdir()
    if config is not None:
        (tmp_path / "guard" / "config.json").write_text(config)
    (tmp_path / "policy.toml").write_text('version = "1"\n[[guards]]\nfolder = "guard"\n')
    assert main(["moderate", "a red ball", "--policy", str(tmp_path / "policy.toml")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_moderate_applies_a_guard_of_the_policy_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text_guard(tmp_path / "strict", [0.0, 5.0])
    labels = ", ".join(f'{name} = "{ours}"' for name, ours in LABELS.items())
    (tmp_path / "policy.toml").write_text(f'version = "1"\n[[guards]]\nfolder = "strict"\nlabels = {{{labels}}}\n')
    assert main(["moderate", "a red ball", "--json"]) == 0
    capsys.readouterr()
    assert main(["moderate", "a red ball", "--json", "--policy", str(tmp_path / "policy.toml")]) == 1
    assert json.loads(capsys.readouterr().out)["refused"] == ["harassment"]
