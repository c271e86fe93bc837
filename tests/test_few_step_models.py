"""Models that were distilled to a few steps: fixed noise levels, noise that is added in every step, and weights in a
file of their authors' format. And the step cache, which makes steps cheaper."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny_model

from lumora.backends.base import Cancelled
from lumora.backends.diffusers.catalog import catalog, entry_of_folder
from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
from lumora.config import Resolution
from lumora.request.spec import Request

REQUEST = Request("a ball", 0.5, Resolution(32, 32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "ltx"
    save_tiny_model("ltx-condition", folder)
    return folder


@pytest.mark.parametrize("adds_noise", [False, True])
def test_a_few_step_model_is_cancelled_and_continued_with_the_same_pixels(
    folder: Path, tmp_path: Path, adds_noise: bool
):
    levels = (1.0, 0.757, 0.522)
    entry = replace(entry_of_folder(folder), noise_levels=levels, adds_noise=adds_noise, num_inference_steps=3)
    model, work, cancel = DiffusersBackend(entry, folder), tmp_path / "work", threading.Event()
    plan = model.prepare(replace(REQUEST, num_inference_steps=7))
    assert plan.request.num_inference_steps == 3 and "distilled to 3 steps" in " ".join(plan.warnings)
    expected = model.run(plan).frames
    scheduler = model._runner._model._pipe.scheduler  # type: ignore[union-attr]
    assert np.allclose(scheduler.sigmas, [*levels, 0.0]) and np.allclose(scheduler.timesteps, 1000 * np.array(levels))
    with pytest.raises(Cancelled):
        model.run(plan, lambda done, _: cancel.set() if done == 2 else None, cancel, work)
    assert np.array_equal(model.run(plan).frames, expected)
    steps: list[int] = []
    assert np.array_equal(model.run(plan, lambda done, _: steps.append(done), None, work).frames, expected)
    assert steps == [2, 3]
    other = replace(entry, adds_noise=not adds_noise)
    assert not np.array_equal(DiffusersBackend(other, folder).run(plan).frames, expected)


def test_a_file_of_the_authors_format_replaces_the_transformer(folder: Path, tmp_path: Path):
    weights = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    names = {"proj_in": "patchify_proj", "time_embed": "adaln_single", "norm_q": "q_norm", "norm_k": "k_norm"}

    def save(file: Path, scale: float) -> Path:
        """All weights times `scale`, by the names that LTX-Video gives them."""
        renamed = {}
        for name, value in weights.items():
            for own, theirs in names.items():
                name = name.replace(own, theirs)
            renamed[f"model.diffusion_model.{name}"] = scale * value
        save_file(renamed, file)
        return file

    def model(file: Path | None) -> DiffusersBackend:
        return DiffusersBackend(entry_of_folder(folder), folder, transformer_file=file)

    plan = model(None).prepare(replace(REQUEST, num_inference_steps=2))
    own = model(None).run(plan).frames
    same, other = save(tmp_path / "same.safetensors", 1.0), save(tmp_path / "other.safetensors", 0.5)
    assert np.array_equal(model(same).run(plan).frames, own)
    assert not np.array_equal(model(other).run(plan).frames, own)
    assert len({model(file).identity()["sha256"] for file in (None, same, other)}) == 3


@pytest.mark.parametrize("name", ["ltx-condition", "wan-vace", "cogvideox"])
def test_a_step_cache_skips_blocks_and_is_empty_at_the_next_job(name: str, tmp_path: Path):
    save_tiny_model(name, tmp_path / name)
    entry = entry_of_folder(tmp_path / name)

    def model(threshold: float | None) -> DiffusersBackend:
        return DiffusersBackend(entry, tmp_path / name, step_cache=threshold)

    exact, cached, cancel = model(0.0), model(1.0), threading.Event()
    plan = exact.prepare(replace(REQUEST, num_inference_steps=3))
    frames = cached.run(plan).frames
    assert not np.array_equal(frames, exact.run(plan).frames)
    assert np.array_equal(model(None).run(plan).frames, exact.run(plan).frames)
    work = tmp_path / "work"
    with pytest.raises(Cancelled):
        cached.run(plan, lambda done, _: cancel.set() if done == 2 else None, cancel, work)
    assert not work.exists()  # it is not continued in the middle
    assert np.array_equal(cached.run(plan).frames, frames)


def test_a_step_cache_is_refused_where_there_is_none(folder: Path):
    with pytest.raises(ValueError, match=r"hunyuan1\.5 takes no step cache"):
        DiffusersBackend(catalog()["hunyuan1.5"], folder, step_cache=0.1)
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        DiffusersBackend(entry_of_folder(folder), folder, step_cache=2.0)


def test_few_step_entries_of_the_catalogue_are_complete():
    few = [entry for entry in catalog().values() if entry.noise_levels]
    assert {"wan2.2-5b-fast", "wan2.2-t2v-a14b-fast", "wan2.2-i2v-a14b-fast", "ltx-2b-fast"} == {e.name for e in few}
    for entry in few:
        levels = entry.noise_levels
        assert len(levels) == entry.num_inference_steps and levels[0] == 1 and entry.guidance_scale == 1
        assert sorted(set(levels), reverse=True) == list(levels) and levels[-1] > 0
    for entry in catalog().values():
        for file in entry.extra_files:
            assert len(file.revision) == 40 and file.name.endswith(".safetensors")
        assert entry.revision is None or len(entry.revision) == 40
