"""Loss and prompt following over model size and compute, and how well a scaling law predicts a further run.

    python benchmarks/scaling.py --run-dir data/cpu --output-dir data/scaling

The folder is one of `lumora train`: its latents (the last shard is used for evaluation only) and its `weights` with
codec and model.json. The benchmark trains each size with each amount of compute from scratch, fits a scaling law,
trains the size that the law predicts to be best for more compute, and writes index.html (with the extra `eval`) and a
run.json for each run. The same command resumes where it stopped. It takes about 25 minutes on one core; `--num-clips
50` also measures the prompt following of each run, about a minute more for each.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from lumora.atomic_io import atomic_write
from lumora.config import ModelConfig, OptimizerConfig, TrainConfig, from_json, to_json
from lumora.data.datasets import LatentDataset
from lumora.data.shards import shard_numbers
from lumora.evaluate.evaluation_data import PROBE, EvaluationData
from lumora.evaluate.metrics.metric_table import Curve
from lumora.evaluate.metrics.prompt_following import PROBE_TABLE, prompt_following
from lumora.evaluate.metrics.scaling_law import (
    ScalingLaw,
    ScalingRun,
    achieved_gain,
    best_size,
    fit_missed_facts,
    fit_scaling_law,
)
from lumora.evaluate.plan import EvaluationPlan
from lumora.evaluate.report.page import write_page
from lumora.evaluate.report.plots import can_plot, plot_points
from lumora.model.transformer import Transformer
from lumora.train.checkpoint import read_ema
from lumora.train.distributed import DistContext
from lumora.train.loop import train
from lumora.train.objectives import FlowObjective

HERE = DistContext(0, 1, torch.device("cpu"))
COUNTED_STEPS = 8
"""Steps whose operations are counted, to estimate the cost of a step."""
TEST_BATCHES = 12
"""Batches of unseen clips on which the loss of a run is measured."""
TEST_BATCH_SIZE = 32
COMPUTE_LABEL = "compute in floating-point operations"


def main(argv: Sequence[str] | None = None) -> None:
    options = _options(argv)
    torch.set_num_threads(options.threads)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    sizes, budgets = options.sizes.split(","), sorted(1e12 * float(text) for text in options.tflop.split(","))
    runs = [trained_run(options, size, budget) for budget in budgets for size in sizes]
    law = fit_scaling_law(runs)
    size, predicted = best_size(law, runs, 1e12 * options.further)
    print(
        f"The law predicts {size} to be best for {options.further:g} TFLOP, with a loss of {predicted:.4f}.", flush=True
    )
    further = trained_run(options, size, 1e12 * options.further)
    if options.num_clips:
        run_budgets = [budget for budget in budgets for _ in sizes]
        runs = [evaluated_run(options, run, budget) for run, budget in zip(runs, run_budgets, strict=True)]
        further = evaluated_run(options, further, 1e12 * options.further)
    text = summary(law, runs, further)
    print(text)
    if can_plot():
        plots = {"Loss over compute": plot_loss(law, runs, further)}
        if options.num_clips:
            plots["Prompt following over compute"] = plot_prompt_following([*runs, further])
        write_page(
            options.output_dir / "index.html",
            "scaling.html.j2",
            {"plots": plots, "summary": text},
            Path(__file__).parent,
        )


def plot_loss(law: ScalingLaw, runs: Sequence[ScalingRun], further: ScalingRun) -> str:
    """The runs as points, and the law as a line for each size."""
    all_runs = [*runs, further]
    compute = np.geomspace(min(run.flops for run in all_runs), max(run.flops for run in all_runs), 40).tolist()
    lines = []
    for name in dict.fromkeys(run.name for run in runs):
        run = next(run for run in runs if run.name == name)
        per_clip = run.flops / run.samples
        lines.append(Curve(name, compute, [law.loss(run.parameters, flops / per_clip) for flops in compute]))
    points = [
        Curve(name, [run.flops for run in some], [run.loss for run in some]) for name, some in by_name(all_runs).items()
    ]
    return plot_points(points, lines, COMPUTE_LABEL, "loss on unseen clips", "log")


def plot_prompt_following(runs: Sequence[ScalingRun]) -> str:
    points = [
        Curve(name, [run.flops for run in some], [run.prompt_following or 0.0 for run in some])
        for name, some in by_name([run for run in runs if run.prompt_following is not None]).items()
    ]
    return plot_points(points, [], COMPUTE_LABEL, "proportion of stated facts shown", "log")


def by_name(runs: Sequence[ScalingRun]) -> dict[str, list[ScalingRun]]:
    return {name: [run for run in runs if run.name == name] for name in dict.fromkeys(run.name for run in runs)}


def summary(law: ScalingLaw, runs: Sequence[ScalingRun], further: ScalingRun) -> str:
    lines = [f"{'size':8}{'parameters':>12}{'clips':>9}{'TFLOP':>8}{'loss':>9}{'law':>9}{'following':>11}"]
    for run in [*runs, further]:
        following = "" if run.prompt_following is None else f"{run.prompt_following:.1%}"
        predicted = law.loss(run.parameters, run.samples)
        figures = f"{run.flops / 1e12:8.2f}{run.loss:9.4f}{predicted:9.4f}{following:>11}"
        lines.append(f"{run.name:8}{run.parameters:12,}{run.samples:9,}{figures}")
    lines.append(
        f"loss = {law.floor:.4f} + {law.size:.4g} / parameters^{law.size_exponent:.3f} "
        f"+ {law.data:.4g} / clips^{law.data_exponent:.3f}"
    )
    try:
        lines.append(f"The further run achieves {achieved_gain(law, runs, further):.0%} of the predicted gain.")
    except ValueError as error:
        lines.append(str(error))
    if further.prompt_following is not None:
        scale, exponent = fit_missed_facts(runs)
        lines.append(f"missed facts = {scale:.4g} / operations^{exponent:.4f}, for the best run of each amount;")
        lines.append(f"it predicts {1 - scale / further.flops**exponent:.1%} shown facts for the further run.")
    return "\n".join(lines)


def trained_run(options: argparse.Namespace, size: str, budget: float) -> ScalingRun:
    """The run of this size and compute; a finished run is read from its file."""
    folder = _folder(options, size, budget)
    file = folder / "run.json"
    if not file.exists():
        run = _train(options, size, budget, folder)
        _save(run, folder)
        print(f"{size}, {run.flops / 1e12:.2f} TFLOP, {run.samples:,} clips: loss {run.loss:.4f}", flush=True)
    return from_json(ScalingRun, file.read_text())


def _train(options: argparse.Namespace, size: str, budget: float, folder: Path) -> ScalingRun:
    model = _model(options.run_dir, size)
    numbers = shard_numbers(options.run_dir / "latents", "latents")
    if len(numbers) < 2:
        raise ValueError(f"{options.run_dir} has a single shard of latents; a second one is needed for evaluation.")
    training, unseen = (LatentDataset(options.run_dir / "latents", some) for some in (numbers[:-1], numbers[-1:]))
    config = TrainConfig(
        batch_size=options.batch_size, max_steps=1, seed=options.seed, log_every=50, checkpoint_minutes=60.0
    )
    torch.manual_seed(options.seed)
    transformer = Transformer(model.transformer)
    objective = FlowObjective(transformer, training, model, config, HERE)
    flops_per_step = float(np.mean([objective.flops(step) for step in range(COUNTED_STEPS)]))
    config = replace(config, max_steps=max(2, round(budget / flops_per_step)))
    train(objective, config, folder, HERE, to_json(model))
    average = _average(model, folder)
    loss = _loss(FlowObjective(average, unseen, model, replace(config, batch_size=TEST_BATCH_SIZE), HERE))
    parameters = sum(weight.numel() for weight in transformer.parameters())
    steps = config.max_steps or 0
    return ScalingRun(size, parameters, steps * options.batch_size, steps * flops_per_step, loss)


@torch.no_grad()
def _loss(objective: FlowObjective) -> float:
    """Mean over batches with fixed noise, times and captions."""
    objective.module.eval()
    losses = []
    for step in range(TEST_BATCHES):
        with torch.autocast("cpu", torch.bfloat16):
            losses.append(float(objective.loss(step, torch.Generator().manual_seed(step))[0]))
    return float(np.mean(losses))


def _average(model: ModelConfig, folder: Path) -> Transformer:
    """The EMA of a run with the smallest decay, because these runs are short."""
    average = read_ema(folder, min(OptimizerConfig().ema_decays))
    transformer = Transformer(model.transformer)
    transformer.load_state_dict(average, strict=False)  # integer buffers have no EMA
    return transformer


def evaluated_run(options: argparse.Namespace, run: ScalingRun, budget: float) -> ScalingRun:
    """The run with its prompt following, which is measured once."""
    if run.prompt_following is not None:
        return run
    folder = _folder(options, run.name, budget)
    weights, model = folder / "weights", _model(options.run_dir, run.name)
    weights.mkdir(exist_ok=True)
    shutil.copy(options.run_dir / "weights" / "codec.safetensors", weights)
    (weights / "model.json").write_text(to_json(model))
    state = _average(model, folder).state_dict()
    save_file({name: w.bfloat16().contiguous() for name, w in state.items()}, weights / "transformer.safetensors")
    data = EvaluationData.load(EvaluationPlan(num_clips=options.num_clips), weights, PROBE, options.workers)
    table = prompt_following(data).table(PROBE_TABLE)
    run = replace(run, prompt_following=table.columns["generated"]["total"].value)
    _save(run, folder)
    print(f"{run.name}, {run.flops / 1e12:.2f} TFLOP: {run.prompt_following:.1%} of stated facts", flush=True)
    return run


def _save(run: ScalingRun, folder: Path) -> None:
    with atomic_write(folder / "run.json") as part:
        part.write_text(json.dumps(asdict(run)) + "\n")


def _folder(options: argparse.Namespace, size: str, budget: float) -> Path:
    return options.output_dir / f"{size}-{budget / 1e12:g}"


def _model(folder: Path, size: str) -> ModelConfig:
    """The folder's model with this hidden size and number of layers."""
    model = from_json(ModelConfig, (folder / "weights" / "model.json").read_text())
    hidden_size, num_layers = map(int, size.split("x"))
    return replace(model, transformer=replace(model.transformer, hidden_size=hidden_size, num_layers=num_layers))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--sizes", default="128x2,128x4,192x5,256x6", help="hidden sizes x numbers of layers")
    parser.add_argument("--tflop", default="1,2,4,8", help="amounts of compute in 10^12 operations")
    parser.add_argument("--further", type=float, default=16.0, help="10^12 operations of the further run")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--num-clips", type=int, default=0, help="held-out captions for prompt following")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
