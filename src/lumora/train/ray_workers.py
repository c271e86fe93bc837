"""Training on a Ray cluster: Ray Train starts the processes, which then do what those of torchrun do.

All machines must see the run directory under the same path.
"""

# Ray is in the extra `cluster`, which `make check` does not install.
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
from collections.abc import Callable

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2.api.exceptions import WorkerGroupError

MAX_RESTARTS = 3
"""How often the processes are started again after one of them, or its machine, failed."""


def run_in_ray_workers(train: Callable[[], object], num_workers: int, device: str | None = None) -> None:
    """Calls `train` in processes that form one process group; it continues from its checkpoint if some must be
    started again.

    Each has a GPU, unless `device` is `cpu` or the cluster has none. Uses the cluster that RAY_ADDRESS names, or starts
    Ray on this machine. Raises the ValueError of `train`, and RuntimeError if it fails otherwise.
    """
    if not ray.is_initialized():
        ray.init(logging_level=logging.ERROR, include_dashboard=False)
    use_gpu = device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0

    def work(_: dict[str, object]) -> None:
        train()

    trainer = TorchTrainer(
        work,
        scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=use_gpu),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=MAX_RESTARTS)),
    )
    try:
        trainer.fit()
    except WorkerGroupError as error:
        reasons = [getattr(failure, "_base_exc", failure) for failure in error.worker_failures.values()]
        mistakes = [reason for reason in reasons if isinstance(reason, ValueError)]
        if mistakes:
            raise ValueError(str(mistakes[0])) from error
        raise RuntimeError(f"Training failed on the Ray cluster: {reasons[0]}") from error
