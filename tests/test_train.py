"""The training loop, the optimizer, checkpoints, the EMA and the order of clips."""

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
from torch import Tensor, nn

from lumora.config import FlowConfig, ModelConfig, OptimizerConfig, TrainConfig, TransformerConfig, VideoShape
from lumora.data.datasets import EpochSampler, LatentDataset
from lumora.data.latent_cache import latent_path, save_latent_shard
from lumora.model.transformer import Transformer
from lumora.train.checkpoint import EMA, FILE, TrainProgress, read_ema
from lumora.train.distributed import DistContext, dist_context
from lumora.train.loop import LOG, read_log, train
from lumora.train.objectives import FlowObjective
from lumora.train.optimizer import MuonAdam, lr_factor, make_optimizer, orthogonalize

SINGLE = DistContext(0, 1, torch.device("cpu"))
MODEL = ModelConfig(
    transformer=TransformerConfig(latent_channels=4, hidden_size=32, num_layers=1, head_dim=16),
    flow=FlowConfig(caption_dropout=0.2),
)


def write_latents(folder: Path, clips: int = 6) -> LatentDataset:
    """Two shards of constant latents. Each view has one caption, but the last clip's mirror image has none."""
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    for number, count in enumerate((clips - 2, 2)):
        latents = torch.randn(2, count, 4, 1, 1, 1, generator=generator).expand(-1, -1, -1, 3, 4, 4)
        views = [[[(torch.randn(view + 2, 384, generator=generator).bfloat16(), 3)]] for view in range(2 * count - 1)]
        subject = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
        shape = VideoShape(9, 64, 64, 8.0)
        save_latent_shard(latent_path(folder, number), shape, latents.bfloat16(), subject, [*views, []])
    return LatentDataset(folder)


def run(folder: Path, config: TrainConfig) -> tuple[TrainProgress, Transformer]:
    torch.manual_seed(0)
    latents = LatentDataset(folder / "latents")
    objective = FlowObjective(Transformer(MODEL.transformer), latents, MODEL, config, SINGLE)
    return train(objective, config, folder / "run", SINGLE), objective.transformer


class Quadratic:
    """The squared distance of a matrix from a target; `during` is called in each step."""

    clips_per_step = 1

    def __init__(self, during: Callable[[int], None] = lambda step: None, target: float = 1.0) -> None:
        torch.manual_seed(0)
        self.module = nn.Linear(3, 3, bias=False)
        self.during, self.target = during, target

    def shard_units(self) -> list[nn.Module]:
        return [self.module]

    def optimizer(self) -> MuonAdam:
        return make_optimizer(self.module, OptimizerConfig(adam_lr=0.05))

    def flops(self, step: int) -> float:
        return 1.0

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        self.during(step)
        return (self.module(torch.eye(3)) - self.target).square().mean(), {}


KILLED = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_train import TrainConfig, run
run(Path(sys.argv[1]), TrainConfig(**{config!r}))
"""


def test_a_killed_run_continues_exactly(tmp_path: Path):
    options = {"batch_size": 2, "max_steps": 40, "log_every": 1, "checkpoint_minutes": 0.1 / 60}
    for name in ("straight", "killed"):
        (tmp_path / name).mkdir()
        write_latents(tmp_path / name / "latents")
    script = KILLED.format(tests=str(Path(__file__).parent), config=options)
    log = tmp_path / "killed" / "run" / LOG
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600  # only against a test that hangs
    while not (log.exists() and log.read_text().count("\n") > 8):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert log.read_text().count("\n") < 40, "The run ended before it could be killed."

    killed, module = run(tmp_path / "killed", TrainConfig(**options))
    straight, expected = run(tmp_path / "straight", TrainConfig(**options))
    compared = ("step", "grad_norm", "lr_factor")
    logs = [
        [{k: v for k, v in entry.items() if k in compared or k.startswith("loss")} for entry in entries]
        for entries in (read_log(tmp_path / "killed" / "run"), read_log(tmp_path / "straight" / "run"))
    ]
    assert [entry["step"] for entry in logs[0]] == list(range(1, 41))
    assert logs[0] == logs[1] and logs[0][0].keys() >= set(compared)
    assert killed.step == straight.step == 40
    for ours, theirs in zip(module.state_dict().values(), expected.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_transformer_overfits_a_few_clips(tmp_path: Path):
    write_latents(tmp_path / "latents")
    run(tmp_path, TrainConfig(batch_size=6, max_steps=80, log_every=10, precision="fp32"))
    losses = [entry["loss"] for entry in read_log(tmp_path / "run")]
    assert losses[-1] < 0.35 * losses[0]


def test_sigterm_ends_the_run_after_the_step_with_a_checkpoint(tmp_path: Path):
    def during(step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    config = TrainConfig(max_steps=20, log_every=3)
    assert train(Quadratic(during), config, tmp_path, SINGLE).step == 8
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    resumed = Quadratic()
    assert train(resumed, config, tmp_path, SINGLE).step == 20
    assert [entry["step"] for entry in read_log(tmp_path)] == [3, 6, 9, 12, 15, 18, 20]
    straight = Quadratic()
    train(straight, config, tmp_path / "straight", SINGLE)
    assert torch.equal(resumed.module.weight, straight.module.weight)


def test_a_run_by_time_estimates_its_schedule_once(tmp_path: Path):
    config = TrainConfig(max_steps=None)
    objective = Quadratic(lambda step: time.sleep(0.01))
    before = objective.module.weight.clone()
    progress = train(objective, config, tmp_path, SINGLE, max_minutes=2 / 60)
    assert 1 <= progress.step <= progress.max_steps < 200, "A step takes 0.01 s at least."
    assert not torch.equal(before, objective.module.weight)
    resumed = train(Quadratic(), config, tmp_path, SINGLE)
    assert resumed.step == resumed.max_steps == progress.max_steps
    with pytest.raises(ValueError, match="needs a length"):
        train(Quadratic(), config, tmp_path / "other", SINGLE)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path):
    train(Quadratic(), TrainConfig(max_steps=2), tmp_path, SINGLE)
    with pytest.raises(ValueError, match="another configuration"):
        train(Quadratic(), TrainConfig(max_steps=3), tmp_path, SINGLE)


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path):
    config = TrainConfig(max_steps=2)
    train(Quadratic(), config, tmp_path, SINGLE)
    content = torch.load(tmp_path / FILE)
    del content["version"]
    torch.save(content, tmp_path / FILE)
    with pytest.raises(ValueError, match="another version of lumora"):
        train(Quadratic(), config, tmp_path, SINGLE)


def test_steps_without_finite_gradients_are_skipped(tmp_path: Path):
    objective = Quadratic()
    objective.target = float("nan")
    before = objective.module.weight.clone()
    train(objective, TrainConfig(max_steps=3), tmp_path, SINGLE)
    assert torch.equal(objective.module.weight, before)
    with pytest.raises(RuntimeError, match="not been finite"):
        train(objective, TrainConfig(max_steps=100), tmp_path / "long", SINGLE)


RANKS = """
import atexit, sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_train import Quadratic, TrainConfig, train, dist_context

def main():
    with dist_context("cpu") as dist:
        objective = Quadratic(target=float(dist.rank * 2))
        if dist.rank:
            objective.module.weight.data.add_(5.0)  # must be overwritten by the weights of rank 0
        train(objective, TrainConfig(max_steps=10, log_every=1, precision="fp32"), Path(sys.argv[1]), dist)

def print_threads():
    print("threads:", sorted(f.read_text().strip() for f in Path("/proc/self/task").glob("*/comm")))

atexit.register(print_threads)  # the last of the handlers: they run in the reverse order
main()
"""


def test_torchrun_trains_on_the_mean_gradient(tmp_path: Path):
    script = tmp_path / "ranks.py"
    script.write_text(RANKS.format(tests=str(Path(__file__).parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    finished = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr
    assert "threads:" in finished.stdout
    assert "gloo" not in finished.stdout  # a thread of the process group can abort the interpreter at its end
    alone = Quadratic(target=1.0)
    train(alone, TrainConfig(max_steps=10, precision="fp32"), tmp_path / "alone", SINGLE)
    torch.testing.assert_close(read_ema(tmp_path), read_ema(tmp_path / "alone"))
    assert len(read_log(tmp_path)) == 10


def test_without_torchrun_there_is_one_process():
    with dist_context("cpu") as dist:
        assert dist == SINGLE
        assert dist.is_main and dist.any_rank(True) and not dist.any_rank(False) and dist.broadcast_number(3.5) == 3.5


def random_matrices(count: int, rows: int, columns: int) -> Tensor:
    """Random matrices with singular values between 0.3 and 1.3."""
    u, _, v = torch.linalg.svd(torch.randn(count, rows, columns), full_matrices=False)
    return u * (torch.rand(count, 1, min(rows, columns)) + 0.3) @ v


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(2, 24), st.integers(2, 24), st.integers(0, 99))
def test_orthogonalize_keeps_singular_vectors_and_evens_singular_values(count: int, rows: int, columns: int, seed: int):
    torch.manual_seed(seed)
    matrices = random_matrices(count, rows, columns)
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonalize(matrices).float()
    assert 0.6 < float(torch.linalg.svdvals(result).min()) <= float(torch.linalg.svdvals(result).max()) < 1.3
    rotated = u.mT @ result @ v.mT  # nearly diagonal if the singular vectors are kept
    off = rotated - torch.diag_embed(rotated.diagonal(dim1=1, dim2=2))
    assert float(off.abs().max()) < 0.1


def test_adam_matches_torch():
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


def test_the_size_of_a_muon_step_depends_on_the_shape_only():
    """The singular values of an update are about lr × √(rows / columns), whatever the size of the gradient."""
    for rows, columns, size in ((8, 8, 1e-3), (24, 6, 1.0), (6, 24, 1e3)):
        matrix = nn.Parameter(torch.zeros(rows, columns))
        optimizer = MuonAdam([matrix], [], OptimizerConfig(muon_lr=0.1))
        matrix.grad = size * random_matrices(1, rows, columns)[0]
        optimizer.step()
        sizes = torch.linalg.svdvals(matrix.detach()) / (0.1 * (rows / columns) ** 0.5)
        assert float(sizes.min()) > 0.6 and float(sizes.max()) < 1.3


@given(st.integers(1, 5000), st.floats(0, 0.5))
def test_the_learning_rate_rises_and_falls_to_zero(steps: int, warmup: float):
    rates = [lr_factor(step, steps, warmup) for step in range(0, steps, max(1, steps // 50))]
    assert all(0 <= r <= 1 for r in rates)
    top = int(np.argmax(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert lr_factor(steps, steps, warmup) == 0


def test_the_ema_forgets_the_initial_weights_and_then_follows_slowly():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = EMA(module, (0.5, 0.9))
    nn.init.ones_(module.weight)
    for step in range(1000):
        ema.update(module, step)
    for state in ema.states.values():
        torch.testing.assert_close(state["weight"], torch.ones(1, 1))
    nn.init.zeros_(module.weight)
    ema.update(module, 1000)
    assert [round(float(state["weight"]), 4) for state in ema.states.values()] == [0.5, 0.9]


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 3), st.integers(0, 9))
def test_every_epoch_visits_every_clip_once(count: int, batch: int, size: int, seed: int):
    samplers = [EpochSampler(count, batch, seed, rank, size) for rank in range(size)]
    steps = -(-2 * count // (batch * size))
    visited = [clip for step in range(steps) for sampler in samplers for clip in sampler.indices(step)]
    assert sorted(visited[:count]) == sorted(visited[count : 2 * count]) == list(range(count))
    assert samplers[0].indices(steps) == EpochSampler(count, batch, seed, 0, size).indices(steps)


def test_the_log_has_loss_and_throughput(tmp_path: Path):
    train(Quadratic(), TrainConfig(max_steps=4, log_every=2), tmp_path, SINGLE)
    entries = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [2, 4]
    assert {"loss", "grad_norm", "lr_factor", "seconds", "clips_per_s", "gflops", "mfu"} <= entries[0].keys()
    assert entries[1]["loss"] < entries[0]["loss"]
    assert (tmp_path / FILE).is_file()
