"""Training: a killed run repeats exactly, what is written is whole, and what is learnt is learnt."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from lumora.config import FlowConfig, ModelConfig, OptimizerConfig, TrainConfig, TransformerConfig
from lumora.data.datasets import EpochSampler, LatentDataset
from lumora.data.latent_cache import latent_path
from lumora.model.transformer import Transformer
from lumora.train.checkpoint import EMA, TrainProgress
from lumora.train.distributed import DistContext, dist_context
from lumora.train.loop import CHECKPOINT, LOG, read_log, train
from lumora.train.objectives import FlowObjective
from lumora.train.optimizer import MuonAdam, lr_factor, make_optimizer, orthogonalize

HERE = DistContext(0, 1, torch.device("cpu"))
MODEL = ModelConfig(
    transformer=TransformerConfig(latent_channels=4, hidden_size=32, num_layers=1, head_dim=16),
    flow=FlowConfig(caption_dropout=0.2),
)


def write_latents(folder: Path, clips: int = 6) -> LatentDataset:
    """Two shards of smooth latents with one caption for each view, of the last clip's mirror image with none."""
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    for number, count in enumerate((clips - 2, 2)):
        latents = torch.randn(2, count, 4, 1, 1, 1, generator=generator).expand(-1, -1, -1, 3, 4, 4)
        lengths = torch.arange(2 * count - 1) + 2
        content = {
            "latents": latents.bfloat16().contiguous(),
            "subject": torch.zeros(count, 3, 4, 4, dtype=torch.uint8),
            "fps": torch.full((count,), 8.0),
            "text": torch.randn(int(lengths.sum()), 384, generator=generator).bfloat16(),
            "captions": torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
            "first": torch.arange(2 * count + 1).clamp(max=2 * count - 1),
        }
        save_file(content, latent_path(folder, number))
    return LatentDataset(folder)


def run(folder: Path, config: TrainConfig, minutes: float | None = None) -> tuple[TrainProgress, Transformer]:
    torch.manual_seed(0)
    task = FlowObjective(Transformer(MODEL.transformer), LatentDataset(folder / "latents"), MODEL, config, HERE)
    return train(task, config, folder / "run", HERE, minutes=minutes), task.module


class Parabola:
    """Pulls one matrix towards another; what else happens in a step is up to the test."""

    clips = 1

    def __init__(self, during: Callable[[int], None] = lambda step: None, target: float = 1.0) -> None:
        torch.manual_seed(0)
        self.module = nn.Linear(3, 3, bias=False)
        self.during, self.target = during, target

    def optimizer(self) -> MuonAdam:
        return make_optimizer(self.module, OptimizerConfig(adam_lr=0.05))

    def flops(self, step: int) -> float:
        return 1.0

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        self.during(step)
        return (self.module.weight - self.target).square().mean(), {}


KILLED = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_train import TrainConfig, run
run(Path(sys.argv[1]), TrainConfig(**{config!r}))
"""


def test_a_killed_run_repeats_exactly(tmp_path: Path):
    settings_of_run = {"batch_size": 2, "max_steps": 40, "log_every": 1, "checkpoint_minutes": 0.1 / 60}
    for name in ("straight", "killed"):
        (tmp_path / name).mkdir()
        write_latents(tmp_path / name / "latents")
    script = KILLED.format(tests=str(Path(__file__).parent), config=settings_of_run)
    log = tmp_path / "killed" / "run" / LOG
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") > 8):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert log.read_text().count("\n") < 40, "It was over before it could be killed."

    killed, module = run(tmp_path / "killed", TrainConfig(**settings_of_run))
    straight, expected = run(tmp_path / "straight", TrainConfig(**settings_of_run))
    told = [
        [{k: v for k, v in entry.items() if k in ("step", "norm", "rate") or k.startswith("loss")} for entry in entries]
        for entries in (read_log(tmp_path / "killed" / "run"), read_log(tmp_path / "straight" / "run"))
    ]
    assert [entry["step"] for entry in told[0]] == list(range(1, 41))
    assert told[0] == told[1]
    assert killed.step == straight.step == 40
    for ours, theirs in zip(module.state_dict().values(), expected.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_transformer_learns_what_it_is_shown(tmp_path: Path):
    write_latents(tmp_path / "latents")
    run(tmp_path, TrainConfig(batch_size=6, max_steps=80, log_every=10, precision="fp32"))
    losses = [entry["loss"] for entry in read_log(tmp_path / "run")]
    assert losses[-1] < 0.35 * losses[0]


def test_sigterm_ends_after_the_step_with_a_checkpoint(tmp_path: Path):
    def during(step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    config = TrainConfig(max_steps=20, log_every=3)
    assert train(Parabola(during), config, tmp_path, HERE).step == 8
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    resumed = Parabola()
    assert train(resumed, config, tmp_path, HERE).step == 20
    assert [entry["step"] for entry in read_log(tmp_path)] == [3, 6, 9, 12, 15, 18, 20]
    straight = Parabola()
    train(straight, config, tmp_path / "straight", HERE)
    assert torch.equal(resumed.module.weight, straight.module.weight)


def test_a_run_by_time_ends_in_time_and_keeps_its_schedule(tmp_path: Path):
    config = TrainConfig(max_steps=None)
    task, began = Parabola(lambda step: time.sleep(0.01)), time.monotonic()
    before = task.module.weight.clone()
    progress = train(task, config, tmp_path, HERE, minutes=2 / 60)
    assert time.monotonic() - began < 6
    assert 10 < progress.steps < 200
    assert 0.2 * progress.steps < progress.step <= progress.steps
    assert not torch.equal(before, task.module.weight)
    assert train(Parabola(), config, tmp_path, HERE).steps == progress.steps
    with pytest.raises(ValueError, match="needs a length"):
        train(Parabola(), config, tmp_path / "other", HERE)


def test_another_configuration_is_not_mixed_in(tmp_path: Path):
    train(Parabola(), TrainConfig(max_steps=2), tmp_path, HERE)
    with pytest.raises(ValueError, match="another configuration"):
        train(Parabola(), TrainConfig(max_steps=3), tmp_path, HERE)


def test_a_step_without_finite_gradients_changes_nothing(tmp_path: Path):
    task = Parabola()
    task.target = float("nan")
    before = task.module.weight.clone()
    train(task, TrainConfig(max_steps=3), tmp_path, HERE)
    assert torch.equal(task.module.weight, before)
    with pytest.raises(RuntimeError, match="not been finite"):
        train(task, TrainConfig(max_steps=100), tmp_path / "long", HERE)


RANKS = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_train import Parabola, TrainConfig, train, dist_context
with dist_context("cpu") as here:
    task = Parabola(target=float(here.rank * 2))
    if here.rank:
        task.module.weight.data.add_(5.0)  # the first one's weights count
    train(task, TrainConfig(max_steps=10, log_every=1), Path(sys.argv[1]), here)
    torch.save(task.module.weight.data, Path(sys.argv[1]) / f"rank{{here.rank}}.pt")
threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
assert not any("gloo" in name for name in threads), f"The group is still alive: {{threads}}"
"""


def test_processes_of_torchrun_learn_from_the_mean_gradient(tmp_path: Path):
    script = tmp_path / "ranks.py"
    script.write_text(RANKS.format(tests=str(Path(__file__).parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    ended = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    ranks = [torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)]
    alone = Parabola(target=1.0)
    train(alone, TrainConfig(max_steps=10), tmp_path / "alone", HERE)
    assert torch.equal(ranks[0], ranks[1])
    torch.testing.assert_close(ranks[0], alone.module.weight.data)
    assert len(read_log(tmp_path)) == 10


def test_the_world_is_one_process_without_torchrun():
    with dist_context("cpu") as here:
        assert here == HERE
        assert here.main and here.any(True) and not here.any(False) and here.first(3.5) == 3.5


def spread(count: int, rows: int, columns: int) -> Tensor:
    """Random matrices with singular values between 0.3 and 1.3."""
    u, _, v = torch.linalg.svd(torch.randn(count, rows, columns), full_matrices=False)
    return u * (torch.rand(count, 1, min(rows, columns)) + 0.3) @ v


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(2, 24), st.integers(2, 24), st.integers(0, 99))
def test_orthogonalized_keeps_directions_and_evens_their_sizes(count: int, rows: int, columns: int, seed: int):
    torch.manual_seed(seed)
    matrices = spread(count, rows, columns)
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonalize(matrices).float()
    assert 0.6 < float(torch.linalg.svdvals(result).min()) <= float(torch.linalg.svdvals(result).max()) < 1.3
    rotated = u.mT @ result @ v.mT  # nearly diagonal where directions were kept
    off = rotated - torch.diag_embed(rotated.diagonal(dim1=1, dim2=2))
    assert float(off.abs().max()) < 0.1


def test_adam_is_adam():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 5), nn.Linear(4, 5)
    theirs.load_state_dict(ours.state_dict())
    mine = make_optimizer(ours, OptimizerConfig(adam_lr=0.01))
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.9, 0.95))
    for _ in range(5):
        x = torch.randn(8, 4)
        for module, optimizer in ((ours, mine), (theirs, reference)):
            optimizer.zero_grad()
            module(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_muon_steps_are_as_long_as_the_shape_says():
    """The root mean square gain of an update is rate × √(rows / columns), whatever the gradient's size."""
    for rows, columns, size in ((8, 8, 1e-3), (24, 6, 1.0), (6, 24, 1e3)):
        matrix = nn.Parameter(torch.zeros(rows, columns))
        optimizer = MuonAdam([matrix], [], OptimizerConfig(muon_lr=0.1))
        matrix.grad = size * spread(1, rows, columns)[0]
        optimizer.step()
        sizes = torch.linalg.svdvals(matrix.detach()) / (0.1 * (rows / columns) ** 0.5)
        assert float(sizes.min()) > 0.6 and float(sizes.max()) < 1.3


@given(st.integers(1, 5000), st.floats(0, 0.5))
def test_the_rate_rises_and_falls_to_nothing(steps: int, warmup: float):
    rates = [lr_factor(step, steps, warmup) for step in range(0, steps, max(1, steps // 50))]
    assert all(0 <= r <= 1 for r in rates)
    top = int(np.argmax(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert lr_factor(steps, steps, warmup) == 0


def test_averages_forget_the_beginning_and_follow_slowly():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    averages = EMA(module, (0.5, 0.9))
    nn.init.ones_(module.weight)
    for step in range(1000):
        averages.update(module, step)
    for state in averages.states.values():
        torch.testing.assert_close(state["weight"], torch.ones(1, 1))
    nn.init.zeros_(module.weight)
    averages.update(module, 1000)
    assert [round(float(state["weight"]), 4) for state in averages.states.values()] == [0.5, 0.9]


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 3), st.integers(0, 9))
def test_every_pass_shows_every_clip_once_in_its_own_order(count: int, batch: int, size: int, seed: int):
    ranks = [EpochSampler(count, batch, seed, rank, size) for rank in range(size)]
    steps = -(-2 * count // (batch * size))
    seen = [clip for step in range(steps) for order in ranks for clip in order.clips(step)]
    assert sorted(seen[:count]) == sorted(seen[count : 2 * count]) == list(range(count))
    assert ranks[0].clips(steps) == EpochSampler(count, batch, seed, 0, size).clips(steps)


def test_the_log_is_json_with_speed_and_loss(tmp_path: Path):
    train(Parabola(), TrainConfig(max_steps=4, log_every=2), tmp_path, HERE)
    entries = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [2, 4]
    assert {"loss", "norm", "rate", "seconds", "clips_per_s", "gflops", "of_peak"} <= entries[0].keys()
    assert entries[1]["loss"] < entries[0]["loss"]
    assert (tmp_path / CHECKPOINT).is_file()
