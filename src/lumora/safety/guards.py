"""Guards of Hugging Face's transformers behind the same protocol: classifiers of texts or of pictures, and language
models that answer "safe" or "unsafe", such as Llama Guard.

A guard is a folder on this machine, as `save_pretrained` writes it; nothing is downloaded, and no code in it is run. It
fails closed: a label that the policy doesn't explain is no guard, and an answer that isn't understood raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from lumora.safety.policy import HARMLESS, Guard, Policy
from lumora.safety.verdict import Check, Score, Verdict

Judges = Literal["texts", "pictures"]
ANSWER_TOKENS = 32
"""Of a language model's answer: "unsafe", and the names of a few categories."""
LLAMA_GUARD = {
    "S1": "violence",
    "S2": "illicit",
    "S3": "sexual",
    "S4": "minors",
    "S5": "harassment",
    "S6": "medical",
    "S7": "likeness",
    "S8": "ip",
    "S9": "illicit",
    "S10": "hate",
    "S11": "self_harm",
    "S12": "sexual",
    "S13": "elections",
    "S14": "illicit",
}
"""The hazards of Llama Guard 3, and the nearest of ours."""


def judges(guard: Guard) -> Judges:
    """What it looks at, by the kind of model in its folder. Raises ValueError where there is none that can judge."""
    return "pictures" if _kind(guard) == "ForImageClassification" else "texts"


def load_guard(policy: Policy, guard: Guard) -> Check[Any]:
    """Raises ValueError, in a sentence, for a folder without such a model, and a label that nobody has explained."""
    return _KINDS[_kind(guard)](policy, guard)


class _Classifier:
    """A model that gives each of its labels a number."""

    def __init__(self, policy: Policy, guard: Guard, model: str, processor: str):
        self.policy, self.guard = policy, guard
        self.model, self.processor = _loaded(guard, model), _loaded(guard, processor)
        labels: Mapping[int, str] = self.model.config.id2label
        self.labels = [labels[number] for number in range(len(labels))]
        unexplained = [label for label in self.labels if label not in guard.labels]
        if unexplained:
            raise ValueError(
                f"The guard in {guard.folder} has a label {unexplained[0]!r}; say under labels to which category it "
                f'belongs, or "{HARMLESS}".'
            )

    def judged(self, inputs: Mapping[str, Any]) -> Verdict:
        with torch.inference_mode():
            logits = self.model(**inputs).logits[0].float()
        several = self.model.config.problem_type == "multi_label_classification"
        values = (logits.sigmoid() if several else logits.softmax(-1)).numpy()
        return self.policy.judge(self._scores(values))

    def _scores(self, values: Float[np.ndarray, " labels"]) -> dict[str, Score]:
        scores: dict[str, Score] = {}
        for label, value in zip(self.labels, values.tolist(), strict=True):
            if (ours := self.guard.labels[label]) != HARMLESS:
                score = Score(value, f"guard {self.guard.folder.name}, {label}")
                scores[ours] = max(scores.get(ours, score), score, key=lambda s: s.value)
        return scores


class TextGuard(_Classifier):
    """A classifier of texts."""

    def __init__(self, policy: Policy, guard: Guard):
        super().__init__(policy, guard, "AutoModelForSequenceClassification", "AutoTokenizer")

    def check(self, text: str, /) -> Verdict:
        """Raises ValueError for a text that is longer than the guard reads: its end would not be judged."""
        inputs = self.processor(text, return_tensors="pt")
        most = min(self.processor.model_max_length, getattr(self.model.config, "max_position_embeddings", 1 << 30))
        if inputs["input_ids"].shape[1] > most:
            raise ValueError(f"the text is longer than the {most:,} tokens that the guard reads")
        return self.judged(inputs)


class ImageGuard(_Classifier):
    """A classifier of pictures."""

    def __init__(self, policy: Policy, guard: Guard):
        super().__init__(policy, guard, "AutoModelForImageClassification", "AutoImageProcessor")

    def check(self, picture: UInt8[np.ndarray, "h w 3"], /) -> Verdict:
        return self.judged(self.processor(Image.fromarray(picture), return_tensors="pt"))


class ChatGuard:
    """A language model that answers "safe", or "unsafe" and, in the next line, hazards by their names (Llama Guard,
    arXiv:2312.06674)."""

    def __init__(self, policy: Policy, guard: Guard):
        self.policy, self.guard = policy, guard
        self.model, self.tokenizer = _loaded(guard, "AutoModelForCausalLM"), _loaded(guard, "AutoTokenizer")
        if not self.tokenizer.chat_template:
            raise ValueError(f"The guard in {guard.folder} has no chat template, so it can't be asked.")
        self.labels = guard.labels or LLAMA_GUARD

    def check(self, text: str, /) -> Verdict:
        asked = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": self._as_words(text)}], return_tensors="pt", return_dict=True
        )
        length = asked["input_ids"].shape[1]
        with torch.inference_mode():
            answer = self.model.generate(**asked, max_new_tokens=ANSWER_TOKENS, do_sample=False)
        return self._verdict(self.tokenizer.decode(answer[0, length:], skip_special_tokens=True))

    def _as_words(self, text: str) -> str:
        """Without what the tokenizer would take for the end of the question, and what follows for an answer."""
        marks = {*self.tokenizer.all_special_tokens, *self.tokenizer.get_added_vocab()}
        while found := [mark for mark in marks if mark in text]:
            for mark in found:
                text = text.replace(mark, " ")
        return text

    def _verdict(self, answer: str) -> Verdict:
        said, *hazards = answer.strip().split("\n")
        names = [name.strip() for name in ",".join(hazards).split(",") if name.strip()]
        if said.strip() == "safe" and not names:
            return self.policy.judge({})
        if said.strip() != "unsafe" or not names or not {*names} <= self.labels.keys():
            raise ValueError(f"the guard {self.guard.folder.name} answers {answer[:60]!r}, which nobody understands")
        meant = {self.labels[name] for name in names} - {HARMLESS}
        return self.policy.judge({ours: Score(1.0, f"guard {self.guard.folder.name}") for ours in meant})


_KINDS = {
    "ForSequenceClassification": TextGuard,
    "ForImageClassification": ImageGuard,
    "ForCausalLM": ChatGuard,
}


def _kind(guard: Guard) -> str:
    try:
        said = json.loads((guard.folder / "config.json").read_text("utf-8"))
        names = [str(name) for name in said["architectures"]]
    except (OSError, ValueError, TypeError, KeyError):
        raise ValueError(
            f"There is no model of transformers in {guard.folder}; name a folder that save_pretrained wrote."
        ) from None
    for kind in _KINDS:
        if any(name.endswith(kind) for name in names):
            return kind
    raise ValueError(f"The model in {guard.folder} is a {', '.join(names)}, which judges neither texts nor pictures.")


def _loaded(guard: Guard, kind: str) -> Any:
    """From the guard's folder alone, by transformers' class of this name."""
    try:
        import transformers
    except ImportError:
        raise ValueError("A guard needs transformers; install it with `pip install 'lumora[open]'`.") from None
    try:
        part = getattr(transformers, kind).from_pretrained(Path(guard.folder), local_files_only=True)
    except Exception as error:  # whatever is wrong with a folder of strangers, the operator reads it in one sentence
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ValueError(f"The guard in {guard.folder} can't be read: {first.rstrip('.')}.") from error
    return part.eval() if isinstance(part, torch.nn.Module) else part
