"""Runs claimed jobs: request, checks, plan, video, published file. Every outcome ends in the row."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from jaxtyping import UInt8
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from lumora.atomic_io import is_disk_full
from lumora.backends.base import Backend, Cancelled, Plan
from lumora.provenance.manifest import read
from lumora.serve.database import files, videos
from lumora.serve.jobs import JobSpec, work_of
from lumora.serve.media_variants import write_variants
from lumora.serve.previews import PreviewSender
from lumora.serve.running_job import RunningBatch, RunningJob
from lumora.serve.settings import ServeSettings
from lumora.serve.video_store import Row, VideoStore
from lumora.service.cut import make_cut
from lumora.service.generate import generate, generate_batch
from lumora.service.moderation import CheckFailed, Moderation, ModerationBlocked

LOG = logging.getLogger("lumora.serve.worker")
MAX_ATTEMPTS = 10
"""A job that ends its worker so often fails."""
_MEMORY = "The video needs more memory than there is; ask for a smaller one."


@dataclass
class JobRunner:
    settings: ServeSettings
    store: VideoStore
    take_backend: Callable[[str], Backend]
    """The backend of a model by its served name; others give their memory back."""
    moderation: Moderation
    stopping: threading.Event
    previews: PreviewSender
    idle: threading.Event = field(default_factory=threading.Event)
    """Set while nothing runs."""

    def __post_init__(self) -> None:
        self.idle.set()

    def run(self, ticket: str, rows: Sequence[Row]) -> None:
        """Makes the videos of claimed rows. Raises only what the database raises."""
        self.idle.clear()
        resume_path = self.settings.folder / "work" / f"{ticket}.safetensors"
        try:
            jobs = [job for row in rows if not self._was_finished(job := RunningJob(self.store, row, self.stopping))]
            if len(jobs) > 1 and self._run_batch(jobs, resume_path):
                return
            for job in jobs:
                with self._failing(job):
                    self._run_one(job, resume_path)
            if not self.stopping.is_set():
                resume_path.unlink(missing_ok=True)
        finally:
            self.idle.set()

    def _was_finished(self, job: RunningJob) -> bool:
        """Finishes a job whose worker ended between publishing and writing the row, or that ends its workers."""
        for file in self.store.folder_of(job.id).glob("[!.]*.mp4"):  # a file with its name is reviewed and signed
            record = str(read(file).recipe.get("record", ""))
            self._finish(job, file, record, hashlib.sha256(file.read_bytes()).hexdigest())
            return True
        if job.row["attempts"] > MAX_ATTEMPTS:
            self._fail(job, "server_error", f"The worker ended {MAX_ATTEMPTS} times while it made this video.")
            return True
        return False

    def _run_one(self, job: RunningJob, resume_path: Path) -> None:
        spec, destination = JobSpec.from_json(job.row["spec"]), self._destination(job)
        if spec.task == "cut":
            published = make_cut(spec.clip_parts(self._locate), destination, self.moderation, job, overwrite=True)
            self._finish(job, destination, published.record, published.sha256)
            return
        backend = self.take_backend(spec.model)
        video_job = spec.build(backend, self._locate)
        began = time.monotonic()
        published = generate(
            video_job.request,
            backend,
            destination,
            self.moderation,
            ingredients=video_job.ingredients,
            overwrite=True,  # the folder is the job's own
            on_plan=lambda plan: self._store_plan(job, plan),
            progress=job.report,
            cancel=job,
            resume_path=resume_path,
            on_preview=self._previewer([job]),
        )
        self._finish(job, destination, published.record, published.sha256)
        self._measure([job], began)

    def _run_batch(self, jobs: Sequence[RunningJob], resume_path: Path) -> bool:
        """Makes jobs of equal shape together. False if that cannot be done; they are made one by one then."""
        batch = RunningBatch(jobs)
        destinations = [self._destination(job) for job in jobs]
        began = time.monotonic()
        try:
            specs = [JobSpec.from_json(job.row["spec"]) for job in jobs]
            backend = self.take_backend(specs[0].model)
            generate_batch(
                [spec.build(backend, self._locate) for spec in specs],
                backend,
                destinations,
                self.moderation,
                overwrite=True,
                progress=batch.report,
                cancel=batch,
                resume_path=resume_path,
                on_preview=self._previewer(jobs),
                is_wanted=lambda index: not jobs[index].is_lost(),
                on_video=lambda index, outcome: (
                    self._fail(jobs[index], "content_filter", str(outcome))
                    if isinstance(outcome, ModerationBlocked)
                    else self._finish(jobs[index], destinations[index], outcome.record, outcome.sha256)
                ),
            )
        except Cancelled:
            return True
        except SQLAlchemyError:
            raise
        except Exception as error:
            LOG.warning("%d jobs cannot be made together: %s", len(jobs), error)
            return False
        self._measure(jobs, began)
        return True

    def _destination(self, job: RunningJob) -> Path:
        folder = self.store.folder_of(job.id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{job.token}.mp4"

    def _store_plan(self, job: RunningJob, plan: Plan) -> None:
        made = {"size": str(plan.size), "seconds": plan.num_frames / plan.fps, "fps": plan.fps}
        made["num_frames"] = plan.num_frames
        self.store.set_made(job.id, job.token, made, list(plan.warnings), work_of(plan))

    def _previewer(self, jobs: Sequence[RunningJob]) -> Callable[[int, UInt8[np.ndarray, "h w 3"]], None] | None:
        if not self.previews.is_wanted():
            return None

        def send(index: int, frame: UInt8[np.ndarray, "h w 3"]) -> None:
            job = jobs[index]
            self.previews.send(job.row["owner"], job.id, job.step, job.total_steps, frame)

        return send

    def _finish(self, job: RunningJob, file: Path, record: str, sha256: str) -> None:
        """Thumbnail and sprite sheet, then the row; other files of this video are removed."""
        write_variants(file, file.parent)
        relative = str(file.relative_to(self.settings.folder))
        if not self.store.finish(job.id, job.token, relative, record, sha256):
            file.unlink(missing_ok=True)
            self.store.discard_files(job.id)
            return
        for other in file.parent.glob("*.mp4"):
            if other != file:
                other.unlink(missing_ok=True)
        LOG.info("%s is finished", job.id)

    def _measure(self, jobs: Sequence[RunningJob], began: float) -> None:
        """Denoising from the first step to the last; what was before and after is the overhead."""
        first, last = jobs[0].first_step_at, jobs[0].last_step_at
        steps = jobs[0].total_steps
        if first is None or last is None or steps < 2:
            return
        denoising = (last - first) * steps / (steps - 1)
        others = time.monotonic() - began - denoising
        work = sum(job.row["work"] for job in jobs)
        model = jobs[0].row["spec"].get("model", "")
        with contextlib.suppress(OperationalError):
            self.store.add_timing(model, work, denoising, max(0.0, others) / len(jobs), steps)

    @contextlib.contextmanager
    def _failing(self, job: RunningJob) -> Iterator[None]:
        """Every failure ends in the row, with a code and a sentence."""
        try:
            yield
        except Cancelled:
            LOG.info("%s was stopped", job.id)
        except CheckFailed as error:
            self._fail(job, "server_error", str(error))
        except ModerationBlocked as error:
            self._fail(job, "content_filter", str(error))
        except SQLAlchemyError:
            raise
        except (ValueError, FileNotFoundError) as error:
            self._fail(job, "invalid_request", self._without_paths(job, str(error)))
        except MemoryError:
            self._fail(job, "out_of_memory", _MEMORY)
        except OSError as error:
            LOG.error("%s failed: %s", job.id, error)
            full = is_disk_full(error)
            self._fail(job, "server_error", "The disk of the server is full." if full else "A file cannot be written.")
        except Exception as error:
            LOG.exception("%s failed", job.id)
            if "out of memory" in str(error).lower():
                self._fail(job, "out_of_memory", _MEMORY)
            else:
                self._fail(job, "server_error", "The worker failed; the server's log says more.")

    def _fail(self, job: RunningJob, code: str, message: str) -> None:
        LOG.info("%s failed: %s: %s", job.id, code, message)
        self.store.fail(job.id, job.token, code, message)

    def _without_paths(self, job: RunningJob, message: str) -> str:
        """Clients know ids, not paths."""
        for object_id in JobSpec.from_json(job.row["spec"]).input_ids:
            with contextlib.suppress(ValueError):
                message = message.replace(str(self._locate(object_id)), object_id)
        return message

    def _locate(self, object_id: str) -> Path:
        """The file of a video or an upload. Raises ValueError for one that was deleted since."""
        table = videos if object_id.startswith("video_") else files
        with self.store.engine.connect() as connection:
            file = connection.execute(sa.select(table.c.file).where(table.c.id == object_id)).scalar()
        if file is None:
            raise ValueError(f"The input {object_id} was deleted before this job began.")
        return self.settings.folder / file
