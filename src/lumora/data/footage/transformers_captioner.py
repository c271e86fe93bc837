"""A captioner that runs a vision-language model of transformers in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from lumora.data.footage.captioning import INSTRUCTIONS, captioning_task
from lumora.precision import choose_device, fast_dtype

MAX_NEW_TOKENS = 256


class TransformersCaptioner:
    """Reads frames as pictures of one chat message, which every image-text-to-text model with a chat template takes."""

    def __init__(
        self, model: str | Path, num_frames: int = 8, device: str | None = None, instructions: str = INSTRUCTIONS
    ) -> None:
        """`model` is a folder, or a repository in the hub cache; nothing is downloaded.

        Raises ValueError, in one sentence, if there is no such model here.
        """
        self.num_frames, self.instructions = num_frames, instructions
        self.device = choose_device(device)
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        options: dict[str, Any] = {"local_files_only": True}
        try:
            self._processor = AutoProcessor.from_pretrained(model, **options)
            network: Any = AutoModelForImageTextToText.from_pretrained(
                model, dtype=fast_dtype(self.device), use_safetensors=True, **options
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"{model} is no vision-language model of transformers on this machine (`hf download {model}` gets one "
                f"of the hub): {first_line}"
            ) from error
        self._model = network.to(self.device).eval()

    @torch.inference_mode()
    def caption(self, frames: UInt8[np.ndarray, "t h w 3"], fps: float) -> str:
        """Raises ValueError, in one sentence, if the model writes nothing."""
        task, pictures = captioning_task(frames, fps, self.num_frames)
        content: list[dict[str, Any]] = [{"type": "image", "image": Image.fromarray(picture)} for picture in pictures]
        content.append({"type": "text", "text": f"{self.instructions}\n{task}"})
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.device, self._model.dtype)
        tokens = self._model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        answer = self._processor.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        if not answer.strip():
            raise ValueError("The model wrote no caption; choose another one with --vlm.")
        return " ".join(answer.split())
