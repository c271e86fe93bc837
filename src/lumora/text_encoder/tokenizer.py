"""The text encoder's tokenizer: SentencePiece's unigram model (arXiv:1804.10959) of XLM-RoBERTa."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Encoding, Tokenizer, models, pre_tokenizers, processors

from lumora.text_encoder.q4 import Vocabulary

MAX_TOKENS = 128
PREFIX = "query: "
"""Every text begins with it, as the encoder's authors ask."""


class TextTokenizer:
    """Cuts texts into tokens, with PREFIX, <s> and </s>, and at most MAX_TOKENS."""

    def __init__(self, tokenizer: Tokenizer, normalization: Mapping[int, str] | None = None) -> None:
        """`normalization` is done before the tokenizer: text that replaces a code point; then spaces are collapsed."""
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer, self._normalization = tokenizer, normalization

    @classmethod
    def of_vocabulary(cls, vocabulary: Vocabulary) -> TextTokenizer:
        tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, vocabulary.unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)  # type: ignore[assignment]
        ends = [(vocabulary.pieces[n][0], n) for n in (vocabulary.bos, vocabulary.eos)]
        tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
            single=f"{ends[0][0]} $A {ends[1][0]}", special_tokens=ends
        )
        return cls(tokenizer, vocabulary.normalization)

    @classmethod
    def of_file(cls, file: Path) -> TextTokenizer:
        """Of a tokenizer.json. Raises ValueError if it is missing or broken."""
        try:
            return cls(Tokenizer.from_file(str(file)))
        except Exception as error:  # The library raises plain Exception.
            raise ValueError(f"{file} is missing or no tokenizer; fetch it again.") from error

    def encode_batch(self, texts: Sequence[str]) -> list[Encoding]:
        """The tokens of each text: their numbers are in `ids`."""
        return self._tokenizer.encode_batch([self._prepared(text) for text in texts])

    def unread(self, text: str) -> str:
        """The end of a text that is cut off, because it is too long; usually empty."""
        prepared = self._prepared(text)
        encoding = self._tokenizer.encode(prepared)
        return prepared[max(end for _, end in encoding.offsets) :].strip() if encoding.overflowing else ""

    def _prepared(self, text: str) -> str:
        if self._normalization is None:
            return PREFIX + text
        return re.sub(" {2,}", " ", (PREFIX + text).translate(self._normalization))
