"""Text encoders that several tiny open-weight models share. Importing it keeps their libraries offline."""

import os
import string
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a missing file fails at once
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import transformers

PRINTABLE = string.ascii_letters + string.digits + string.punctuation
TEXT_WIDTH = 32


def t5_tokenizer(max_length: int) -> Any:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in PRINTABLE)]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=max_length)


def t5(vocabulary: int, kind: str = "T5") -> Any:
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=vocabulary,
        d_model=TEXT_WIDTH,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=4,
        relative_attention_num_buckets=8,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
    )
    return getattr(transformers, f"{kind}EncoderModel")(config).eval()
