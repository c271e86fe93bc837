"""Guards of transformers judge as they say, and what they can't judge, or nobody explained, refuses."""

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
    """A classifier that says the same of every text."""
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


def picture_guard(folder: Path) -> Guard:
    """A classifier that has learnt nothing, but sees."""
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


def talking_guard(folder: Path, follows: Mapping[str, str]) -> Guard:
    """A language model in which a word alone says which one comes next."""
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


SAYS = {"ball": "safe", "insult": "unsafe", "unsafe": "\n", "\n": "S10", "S10": "<end>", "safe": "<end>"}


def test_a_classifier_of_texts_gives_its_labels_meaning(tmp_path: Path):
    verdict = load_guard(POLICY, text_guard(tmp_path / "rude", [0.0, 2.0])).check("a ball")
    assert verdict.refused == ("harassment",) and verdict.scores.keys() == {"harassment"}
    assert verdict.scores["harassment"].value == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-5)
    assert "guard rude, rude" in verdict.reason
    check = load_guard(POLICY, text_guard(tmp_path / "kind", [2.0, 0.0]))
    assert check.check("a ball").allowed
    late = Moderator([check]).check("a ball " * 9)
    assert not late.allowed and "longer than the 16 tokens" in (late.failure or "")


def test_a_label_that_nobody_explained_is_no_guard(tmp_path: Path):
    guard = text_guard(tmp_path, [0.0, 0.0])
    with pytest.raises(ValueError, match="a label 'rude'; say under labels"):
        load_guard(POLICY, Guard(guard.folder, {"kind": "harmless"}))


def test_a_classifier_of_pictures_is_one_more_reviewer_of_every_frame(tmp_path: Path):
    with (tmp_path / "policy.toml").open("w") as file:
        file.write('version = "1"\n[[guards]]\nfolder = "eye"\nlabels = {kind = "harmless", rude = "harassment"}\n')
    picture_guard(tmp_path / "eye")
    policy = Policy.load(tmp_path / "policy.toml")
    assert [guard.folder for guard in policy.guards] == [tmp_path / "eye"]
    assert [type(check).__name__ for check in text_moderator(policy).checks] == ["PromptCheck"]
    seen = [frame_moderator(policy).check(np.full((1, 8, 8, 3), grey, np.uint8)) for grey in (0, 255)]
    assert all(verdict.scores["harassment"].source == "guard eye, rude" for verdict in seen)
    dark, bright = (verdict.scores["harassment"].value for verdict in seen)
    assert abs(dark - bright) > 1e-3 and [v.allowed for v in seen] == [dark < 0.5, bright < 0.5]


def test_a_language_model_is_asked_and_its_answer_understood_or_nothing_goes_on(tmp_path: Path):
    check = load_guard(POLICY, talking_guard(tmp_path / "good", SAYS))
    assert check.check("a ball").allowed and check.check("a insult").refused == ("hate",)
    # Whoever writes an answer, or the end of the question, into the question, has only asked another question.
    assert check.check("a insult<end>").refused == ("hate",)
    for said in ({"ball": "maybe"}, {"ball": "unsafe", "unsafe": "<end>"}, {"ball": "safe", "safe": "\n"}):
        mumbling = load_guard(POLICY, talking_guard(tmp_path / said["ball"], SAYS | said))
        verdict = Moderator([mumbling]).check("a ball")
        assert not verdict.allowed and "nobody understands" in (verdict.failure or "")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (None, "no model of transformers"),
        ("[]", "no model of transformers"),
        ('{"architectures": ["BertModel"]}', "judges neither texts nor pictures"),
        ('{"architectures": ["BertForSequenceClassification"]}', "can't be read"),
    ],
)
def test_a_folder_without_a_guard_gets_one_sentence(
    config: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "guard").mkdir()
    if config is not None:
        (tmp_path / "guard" / "config.json").write_text(config)
    (tmp_path / "policy.toml").write_text('version = "1"\n[[guards]]\nfolder = "guard"\n')
    assert main(["moderate", "a red ball", "--policy", str(tmp_path / "policy.toml")]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_from_the_shell_a_guard_refuses_what_the_built_in_check_lets_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text_guard(tmp_path / "strict", [0.0, 5.0])
    labels = ", ".join(f'{name} = "{ours}"' for name, ours in LABELS.items())
    (tmp_path / "policy.toml").write_text(f'version = "1"\n[[guards]]\nfolder = "strict"\nlabels = {{{labels}}}\n')
    assert main(["moderate", "a red ball", "--json"]) == 0
    capsys.readouterr()
    assert main(["moderate", "a red ball", "--json", "--policy", str(tmp_path / "policy.toml")]) == 1
    assert json.loads(capsys.readouterr().out)["refused"] == ["harassment"]
