"""How loss and prompt following fall and rise with size and compute, and how well a power law foretells a further run.

    python benchmarks/scaling.py --folder data/cpu --out data/scaling

The folder is one of `lumora train`: its latents (the last shard is kept apart, for measuring) and its `weights` with
codec and model.json. Trains each size with each amount of compute, from nothing and to the end of its schedule, fits a
law to them, trains the size that the law would with more compute than any, and writes index.html and a run.json for
each. The same command goes on where it was left. About 25 minutes on one core; `--clips 50` lets every run make videos
too, says how many of the stated facts these show, and how that rises with compute: a minute more for each run.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from html import escape
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from lumora.atomic_io import atomic_write
from lumora.config import ModelConfig, TrainConfig, from_json, to_json
from lumora.data.datasets import LatentDataset
from lumora.data.shards import shard_numbers
from lumora.evaluate.metrics.scaling_law import Law, Run, best_size, drawn, drawn_following, fit, missing, reached
from lumora.evaluate.report.page import page
from lumora.evaluate.runner import EvaluationPlan, run_evaluation
from lumora.model.transformer import Transformer
from lumora.train.checkpoint import read_checkpoint
from lumora.train.distributed import DistContext
from lumora.train.loop import CHECKPOINT, train
from lumora.train.objectives import FlowObjective

HERE = DistContext(0, 1, torch.device("cpu"))
TRIED = 8
"""Steps whose operations are counted, to know what a step costs."""
TESTED = 12
"""Batches of unseen clips on which a run's loss is measured."""
TESTED_BATCH = 32


def main(argv: Sequence[str] | None = None) -> None:
    options = _options(argv)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    sizes, budgets = options.sizes.split(","), sorted(1e12 * float(text) for text in options.tflop.split(","))
    runs = [made(options, size, budget) for budget in budgets for size in sizes]
    law = fit(runs)
    size, foretold = best_size(law, runs, 1e12 * options.further)
    print(f"The law would train {size} with {options.further:g} TFLOP, to a loss of {foretold:.4f}.", flush=True)
    further = made(options, size, 1e12 * options.further)
    if options.clips:
        each = [budget for budget in budgets for _ in sizes]
        runs = [followed(options, run, budget) for run, budget in zip(runs, each, strict=True)]
        further = followed(options, further, 1e12 * options.further)
    text = summary(law, runs, further)
    print(text)
    parts = ["<h1>Loss over compute</h1>", drawn(law, runs, further)]
    if options.clips:
        parts += ["<h1>Prompt following over compute</h1>", drawn_following(runs, further)]
    with atomic_write(options.out / "index.html") as part:
        part.write_text(page("lumora: scaling", [*parts, f"<pre>{escape(text)}</pre>"]))


def summary(law: Law, runs: Sequence[Run], further: Run) -> str:
    lines = [f"{'size':8}{'parameters':>12}{'clips':>9}{'TFLOP':>8}{'loss':>9}{'law':>9}{'following':>11}"]
    for run in [*runs, further]:
        following = "" if run.following is None else f"{run.following:.1%}"
        foretold = law.loss(run.parameters, run.samples)
        figures = f"{run.flops / 1e12:8.2f}{run.loss:9.4f}{foretold:9.4f}{following:>11}"
        lines.append(f"{run.name:8}{run.parameters:12,}{run.samples:9,}{figures}")
    lines.append(
        f"loss = {law.floor:.4f} + {law.size:.4g} / parameters^{law.size_power:.3f} "
        f"+ {law.data:.4g} / clips^{law.data_power:.3f}"
    )
    try:
        lines.append(f"The further run has reached {reached(law, runs, further):.0%} of the gain that was foretold.")
    except ValueError as error:
        lines.append(str(error))
    if further.following is not None:
        scale, power = missing(runs)
        lines.append(f"facts not shown = {scale:.4g} / operations^{power:.4f}, of the best run of each amount;")
        lines.append(f"of the further run it foretells {1 - scale / further.flops**power:.1%} shown.")
    return "\n".join(lines)


def made(options: argparse.Namespace, size: str, budget: float) -> Run:
    """The run of that size and compute; what has been made is not made again."""
    folder = _folder(options, size, budget)
    file = folder / "run.json"
    if not file.exists():
        run = _trained(options, size, budget, folder)
        _keep(run, folder)
        print(f"{size}, {run.flops / 1e12:.2f} TFLOP, {run.samples:,} clips: loss {run.loss:.4f}", flush=True)
    return from_json(Run, file.read_text())


def _trained(options: argparse.Namespace, size: str, budget: float, folder: Path) -> Run:
    model = _model(options.folder, size)
    numbers = shard_numbers(options.folder / "latents", "latents")
    if len(numbers) < 2:
        raise ValueError(f"{options.folder} has a single shard of latents; one more is needed to measure on.")
    seen, unseen = (LatentDataset(options.folder / "latents", some) for some in (numbers[:-1], numbers[-1:]))
    config = TrainConfig(
        batch_size=options.batch, max_steps=1, seed=options.seed, log_every=50, checkpoint_minutes=60.0
    )
    torch.manual_seed(options.seed)
    transformer = Transformer(model.transformer)
    task = FlowObjective(transformer, seen, model, config, HERE)
    each = float(np.mean([task.flops(step) for step in range(TRIED)]))
    config = replace(config, max_steps=max(2, round(budget / each)))
    train(task, config, folder, HERE, to_json(model))
    average = _average(model, folder)
    loss = _loss(FlowObjective(average, unseen, model, replace(config, batch_size=TESTED_BATCH), HERE))
    parameters = sum(weight.numel() for weight in transformer.parameters())
    steps = config.max_steps or 0
    return Run(size, parameters, steps * options.batch, steps * each, loss)


@torch.no_grad()
def _loss(task: FlowObjective) -> float:
    """Mean over batches whose noise, times and captions are always the same."""
    task.module.eval()
    losses = []
    for step in range(TESTED):
        with torch.autocast("cpu", torch.bfloat16):
            losses.append(float(task.loss(step, torch.Generator().manual_seed(step))[0]))
    return float(np.mean(losses))


def _average(model: ModelConfig, folder: Path) -> Transformer:
    """The average of a run's weights with its shortest memory: these runs are short."""
    averages = read_checkpoint(folder / CHECKPOINT)["ema"]
    transformer = Transformer(model.transformer)
    transformer.load_state_dict(averages[min(averages, key=float)], strict=False)  # integers, if any, are no averages
    return transformer


def followed(options: argparse.Namespace, run: Run, budget: float) -> Run:
    """With the share of stated facts that videos of this run show; what has been measured is not measured again."""
    if run.following is not None:
        return run
    folder = _folder(options, run.name, budget)
    weights, model = folder / "weights", _model(options.folder, run.name)
    weights.mkdir(exist_ok=True)
    shutil.copy(options.folder / "weights" / "codec.safetensors", weights)
    (weights / "model.json").write_text(to_json(model))
    state = _average(model, folder).state_dict()
    save_file({name: w.bfloat16().contiguous() for name, w in state.items()}, weights / "transformer.safetensors")
    figures = run_evaluation(EvaluationPlan(clips=options.clips), weights, workers=options.workers)
    run = replace(run, following=figures.following["generated"]["total"].value)
    _keep(run, folder)
    print(f"{run.name}, {run.flops / 1e12:.2f} TFLOP: {run.following:.1%} of stated facts", flush=True)
    return run


def _keep(run: Run, folder: Path) -> None:
    with atomic_write(folder / "run.json") as part:
        part.write_text(json.dumps(asdict(run)) + "\n")


def _folder(options: argparse.Namespace, size: str, budget: float) -> Path:
    return options.out / f"{size}-{budget / 1e12:g}"


def _model(folder: Path, size: str) -> ModelConfig:
    """The folder's model, of this width and depth."""
    model = from_json(ModelConfig, (folder / "weights" / "model.json").read_text())
    width, depth = map(int, size.split("x"))
    return replace(model, transformer=replace(model.transformer, hidden_size=width, num_layers=depth))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", default="128x2,128x4,192x5,256x6", help="widths x depths")
    parser.add_argument("--tflop", default="1,2,4,8", help="amounts of compute, in 10^12 operations")
    parser.add_argument("--further", type=float, default=16.0, help="10^12 operations of the run that is foretold")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clips", type=int, default=0, help="held-out captions for prompt following")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
