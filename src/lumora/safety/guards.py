"""Guard models of Hugging Face transformers as checks: classifiers of texts or images, and language models that answer
"safe" or "unsafe", such as Llama Guard.

A guard is a local folder as `save_pretrained` writes it. Nothing is downloaded, and no code in the folder is run.
Guards fail closed: labels that the policy does not map, and answers that are not understood, raise.
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

GuardInput = Literal["text", "image"]
MAX_NEW_TOKENS = 32
"""Length of a language model's answer: "unsafe" and the names of a few categories."""
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
"""Maps the hazards of Llama Guard 3 to the nearest category of the policy."""


def guard_input(guard: Guard) -> GuardInput:
    """What the guard judges, by its architecture. Raises ValueError if the folder has no suitable model."""
    return "image" if _architecture(guard) == "ForImageClassification" else "text"


def load_guard(policy: Policy, guard: Guard) -> Check[Any]:
    """Raises ValueError for a folder without a suitable model, and for a label that the policy does not map."""
    return _ARCHITECTURES[_architecture(guard)](policy, guard)


class _Classifier:
    """A classifier with labels."""

    def __init__(self, policy: Policy, guard: Guard, model: str, processor: str):
        self.policy, self.guard = policy, guard
        self.model, self.processor = _load(guard, model), _load(guard, processor)
        labels: Mapping[int, str] = self.model.config.id2label
        self.labels = [labels[number] for number in range(len(labels))]
        unmapped = [label for label in self.labels if label not in guard.labels]
        if unmapped:
            raise ValueError(
                f"The guard in {guard.folder} has a label {unmapped[0]!r}; add it to labels, with its category or "
                f'"{HARMLESS}".'
            )

    def _judge(self, inputs: Mapping[str, Any]) -> Verdict:
        with torch.inference_mode():
            logits = self.model(**inputs).logits[0].float()
        multi_label = self.model.config.problem_type == "multi_label_classification"
        values = (logits.sigmoid() if multi_label else logits.softmax(-1)).numpy()
        return self.policy.judge(self._scores(values))

    def _scores(self, values: Float[np.ndarray, " labels"]) -> dict[str, Score]:
        scores: dict[str, Score] = {}
        for label, value in zip(self.labels, values.tolist(), strict=True):
            if (category := self.guard.labels[label]) != HARMLESS:
                score = Score(value, f"guard {self.guard.folder.name}, {label}")
                scores[category] = max(scores.get(category, score), score, key=lambda s: s.value)
        return scores


class TextGuard(_Classifier):
    """A classifier of texts."""

    def __init__(self, policy: Policy, guard: Guard):
        super().__init__(policy, guard, "AutoModelForSequenceClassification", "AutoTokenizer")

    def check(self, text: str, /) -> Verdict:
        """Raises ValueError for a text that is longer than the guard reads."""
        inputs = self.processor(text, return_tensors="pt")
        max_length = min(
            self.processor.model_max_length, getattr(self.model.config, "max_position_embeddings", 1 << 30)
        )
        if inputs["input_ids"].shape[1] > max_length:
            raise ValueError(f"the text is longer than the {max_length:,} tokens that the guard reads")
        return self._judge(inputs)


class ImageGuard(_Classifier):
    """A classifier of images."""

    def __init__(self, policy: Policy, guard: Guard):
        super().__init__(policy, guard, "AutoModelForImageClassification", "AutoImageProcessor")

    def check(self, image: UInt8[np.ndarray, "h w 3"], /) -> Verdict:
        return self._judge(self.processor(Image.fromarray(image), return_tensors="pt"))


class ChatGuard:
    """A language model that answers "safe", or "unsafe" and the names of hazards in the next line (Llama Guard,
    arXiv:2312.06674)."""

    def __init__(self, policy: Policy, guard: Guard):
        self.policy, self.guard = policy, guard
        self.model, self.tokenizer = _load(guard, "AutoModelForCausalLM"), _load(guard, "AutoTokenizer")
        if not self.tokenizer.chat_template:
            raise ValueError(f"The guard in {guard.folder} has no chat template.")
        self.labels = guard.labels or LLAMA_GUARD

    def check(self, text: str, /) -> Verdict:
        inputs = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": self._without_control_tokens(text)}], return_tensors="pt", return_dict=True
        )
        length = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            answer = self.model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        return self._verdict(self.tokenizer.decode(answer[0, length:], skip_special_tokens=True))

    def _without_control_tokens(self, text: str) -> str:
        """Removes special tokens, with which a text could end the question and give the answer itself."""
        tokens = {*self.tokenizer.all_special_tokens, *self.tokenizer.get_added_vocab()}
        while found := [token for token in tokens if token in text]:
            for token in found:
                text = text.replace(token, " ")
        return text

    def _verdict(self, answer: str) -> Verdict:
        judgment, *hazards = answer.strip().split("\n")
        names = [name.strip() for name in ",".join(hazards).split(",") if name.strip()]
        if judgment.strip() == "safe" and not names:
            return self.policy.judge({})
        if judgment.strip() != "unsafe" or not names or not {*names} <= self.labels.keys():
            raise ValueError(
                f"the guard {self.guard.folder.name} gave an answer that is not understood: {answer[:60]!r}"
            )
        categories = {self.labels[name] for name in names} - {HARMLESS}
        return self.policy.judge({name: Score(1.0, f"guard {self.guard.folder.name}") for name in categories})


_ARCHITECTURES = {
    "ForSequenceClassification": TextGuard,
    "ForImageClassification": ImageGuard,
    "ForCausalLM": ChatGuard,
}


def _architecture(guard: Guard) -> str:
    try:
        config = json.loads((guard.folder / "config.json").read_text("utf-8"))
        names = [str(name) for name in config["architectures"]]
    except (OSError, ValueError, TypeError, KeyError):
        raise ValueError(
            f"{guard.folder} has no transformers model; give a folder that save_pretrained wrote."
        ) from None
    for architecture in _ARCHITECTURES:
        if any(name.endswith(architecture) for name in names):
            return architecture
    raise ValueError(f"The model in {guard.folder} is a {', '.join(names)}, which judges neither texts nor images.")


def _load(guard: Guard, class_name: str) -> Any:
    """Loads the guard's folder, and nothing else, with this class of transformers."""
    try:
        import transformers
    except ImportError:
        raise ValueError("A guard needs transformers; install it with `pip install 'lumora[open]'`.") from None
    try:
        loaded = getattr(transformers, class_name).from_pretrained(Path(guard.folder), local_files_only=True)
    except Exception as error:  # a foreign folder may raise anything; the operator gets one sentence
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ValueError(f"The guard in {guard.folder} cannot be read: {first.rstrip('.')}.") from error
    return loaded.eval() if isinstance(loaded, torch.nn.Module) else loaded
