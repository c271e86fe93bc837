"""Distillation of a tiny model to few steps, and its use in sampling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lumora.backends.lumora.backend import LumoraBackend
from lumora.backends.lumora.pipeline import Pipeline
from lumora.backends.lumora.weights import model_hash, read_few_steps
from lumora.cli import main
from lumora.codec import Codec
from lumora.config import DistillationConfig, HighNoiseConfig, to_json
from lumora.data.datasets import LatentDataset
from lumora.diffusion.defaults import FEW_STEPS
from lumora.model.noise_experts import load_transformers
from lumora.model.transformer import Transformer
from lumora.presets import finetuning, tiny
from lumora.request.spec import Request
from lumora.train.distillation import DistillationObjective, teacher_path
from lumora.train.distributed import dist_context
from lumora.weights_io import save_weights

MODEL = replace(tiny().model, multi_shot=True, max_multi_shot_frames=17)
MODEL = replace(MODEL, high_noise=HighNoiseConfig(replace(MODEL.transformer, patch_size=(1, 4, 4))))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose output depends on its input, as that of a trained one."""
    folder = tmp_path_factory.mktemp("teacher")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, part in MODEL.transformers().items():
            transformer = Transformer(part.transformer)
            with torch.no_grad():
                for parameter in transformer.parameters():
                    parameter += 0.05 * torch.randn_like(parameter) * (parameter.abs().max() == 0)
            save_weights(transformer, folder / f"{name}.safetensors")
        save_weights(Codec(MODEL.codec), folder / "codec.safetensors")
    (folder / "model.json").write_text(to_json(MODEL))
    return folder


@pytest.fixture(scope="module")
def run_dir(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted and continued."""
    folder = tmp_path_factory.mktemp("run")
    words = ["train", "distill", "--run-dir", str(folder), "--init-from", str(teacher), "--rank", "2"]
    words += ["--max-steps", "6", "--batch-size", "2", "--num-clips", "3", "--world", "plain"]
    assert main([*words, "--max-minutes", "1e-6"]) == 0
    assert main(words) == 0
    return folder


def test_a_run_makes_adapters_for_its_number_of_steps(run_dir: Path, teacher: Path):
    weights = run_dir / "weights"
    adapters = load_file(weights / FEW_STEPS)
    assert read_few_steps(weights) == 4 and read_few_steps(teacher) == 0
    for name in ("low_noise", "high_noise"):
        assert any(adapters[key].any() for key in adapters if key.startswith(name) and key.endswith("lora_B"))
    before, after = (load_file(folder / "transformer.safetensors") for folder in (teacher, weights))
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert model_hash(weights) != model_hash(teacher)


@pytest.fixture
def objective(run_dir: Path, teacher: Path) -> DistillationObjective:
    """All weights of the student are free, and equal those of its teacher."""
    config = DistillationConfig(batch_size=2, teacher_steps=1)
    student, original = (load_transformers(MODEL, teacher) for _ in "12")
    run, latents = finetuning(1, config.batch_size, None), LatentDataset(run_dir / "latents")
    with dist_context("cpu") as dist:
        return DistillationObjective(student, original, latents, MODEL, run, dist, config)


def losses(objective: DistillationObjective) -> list[tuple[str, torch.Tensor]]:
    """The index of the step, and the loss, for some random draws."""
    drawn = [objective.loss(0, torch.Generator().manual_seed(seed)) for seed in range(8)]
    return [(next(iter(metrics)), loss) for loss, metrics in drawn]


def test_a_student_that_takes_its_teachers_steps_has_no_loss(
    objective: DistillationObjective, monkeypatch: pytest.MonkeyPatch
):
    guided = [float(loss.detach()) for _, loss in losses(objective)]
    assert max(guided) > 1e-4
    for name in ("GUIDANCE", "CONTINUATION_GUIDANCE", "MULTI_SHOT_GUIDANCE"):
        monkeypatch.setattr(f"lumora.train.distillation.{name}", 1.0)
    assert max(float(loss.detach()) for _, loss in losses(objective)) < 1e-8


def test_the_teachers_last_step_is_the_jump_of_sampling():
    assert teacher_path(0.8, 0.4, 4, 0.15) == pytest.approx([0.8, 0.7, 0.6, 0.5, 0.4])
    assert teacher_path(0.4, 0.0, 3, 0.15) == pytest.approx([0.4, 0.275, 0.15, 0.0])
    assert teacher_path(0.15, 0.0, 3, 0.15) == [0.15, 0.0]
    assert teacher_path(0.4, 0.0, 1, 0.15) == [0.4, 0.0]


def test_a_step_against_the_gradient_lowers_the_loss(objective: DistillationObjective):
    objective.distillation = replace(objective.distillation, teacher_steps=3)
    # Later steps start from states that the student reaches with its changed weights.
    first_steps = {seed: loss for seed, (name, loss) in enumerate(losses(objective)) if name == "loss_step0"}
    assert first_steps
    torch.stack(list(first_steps.values())).sum().backward()
    with torch.no_grad():
        for parameter in objective.module.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad
    with torch.no_grad():
        after = losses(objective)
        assert sum(after[seed][1] for seed in first_steps) < sum(first_steps.values())


def test_few_steps_are_made_on_request_only(run_dir: Path):
    backend = LumoraBackend(run_dir / "weights")
    assert backend.capabilities().num_inference_steps == 24
    assert backend.prepare(Request("a ball")).request.num_inference_steps == 24


def test_the_distilled_transformer_samples_requests_of_its_number_of_steps(run_dir: Path, teacher: Path):
    few, many = Pipeline.from_pretrained(run_dir / "weights"), Pipeline.from_pretrained(teacher)
    request = Request("a ball", seconds=0.5, seed=1)

    def differs(**changes: object) -> bool:
        changed = replace(request, **changes)  # type: ignore[arg-type]
        latents = [pipeline.generate(changed).latents for pipeline in (few, many)]
        assert latents[0] is not None and latents[1] is not None
        return bool((latents[0].data != latents[1].data).any())

    assert differs(num_inference_steps=4)
    assert not differs(num_inference_steps=5)
    assert not differs(num_inference_steps=4, guidance_scale=2.0)


def test_broken_adapters_are_refused(teacher: Path, tmp_path: Path):
    for name in ("model.json", "codec.safetensors", *(f"{name}.safetensors" for name in MODEL.transformers())):
        (tmp_path / name).symlink_to(teacher / name)
    (tmp_path / FEW_STEPS).write_bytes(b"no")
    with pytest.raises(ValueError, match="does not hold few-step adapters"):
        Pipeline.from_pretrained(tmp_path)
