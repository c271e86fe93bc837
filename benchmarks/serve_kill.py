"""Kills processes of `lumora serve` at random moments while jobs wait and run, and checks that nothing is lost.

python benchmarks/serve_kill.py --kills 50 --jobs 20
python benchmarks/serve_kill.py --kills 20 --jobs 6 --denoising --steps 60
python benchmarks/serve_kill.py --database-url postgresql://… --crash-database "pg_ctl restart -m immediate …"
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from serve_process import ServeProcess

from lumora.provenance.manifest import read

CHOICES = ("API", "worker", "checker", "API and worker", "supervisor", "database")
MODULES = {"API": ("app",), "worker": ("worker",), "checker": ("checker",), "API and worker": ("app", "worker")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--most-seconds", type=float, default=12.0, help="longest time between two kills")
    parser.add_argument("--denoising", action="store_true", help="kill only while a job is between two steps")
    parser.add_argument("--steps", type=int, default=8, help="denoising steps of a job")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="folder of another model than the default one")
    parser.add_argument("--database-url")
    parser.add_argument("--crash-database", help="command that crashes and restarts the database")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="serve-kill-"))
    flags = ["--workers", str(options.workers)]
    flags += ["--database-url", options.database_url] if options.database_url else []
    server = ServeProcess(folder / "data", options.model, *flags)
    server.start()
    began = time.monotonic()
    jobs: list[str] = []
    killed = Counter[str]()
    choices = CHOICES if options.crash_database else CHOICES[:-1]
    while sum(killed.values()) < options.kills:
        add_jobs(server, jobs, options.jobs, options.steps)
        if options.denoising:
            wait_for_denoising(server)
        else:
            time.sleep(draw.uniform(0.2, options.most_seconds))
        what, before = draw.choice(choices), states(server, jobs)
        kill(server, what, options.crash_database)
        killed[what] += 1
        print(f"{time.monotonic() - began:6.0f} s: {what} killed; before: {before}", flush=True)
    print(f"{time.monotonic() - began:6.0f} s: waiting for the rest", flush=True)
    wait_for_all(server, jobs)
    problems = check(server, jobs)
    server.stop()
    result = {"killed": dict(killed), "jobs": len(jobs), "seconds": round(time.monotonic() - began)}
    print(json.dumps({**result, "problems": problems}, indent=1))
    if not problems:
        shutil.rmtree(folder)
    sys.exit(1 if problems else 0)


def add_jobs(server: ServeProcess, jobs: list[str], count: int, steps: int) -> None:
    """Tops the unfinished jobs up to `count`, if more than half are finished: that needs a server that is ready."""
    while True:
        try:
            unfinished = [v for v in videos(server) if v["status"] in ("queued", "in_progress")]
            if len(unfinished) > count // 2 and jobs:
                return
            for number in range(count - len(unfinished)):
                body = {"prompt": f"a ball {len(jobs)}", "seconds": 1 + 3 * (number % 2), "size": "32x32"}
                status, video = server.call("POST", "/v1/videos", {**body, "num_inference_steps": steps})
                if status == 200:
                    jobs.append(video["id"])
        except OSError:
            pass
        time.sleep(0.2)


def wait_for_denoising(server: ServeProcess) -> None:
    """Returns while a job makes progress: its progress has changed just now, and its last steps are not reached."""
    seen: dict[str, int] = {}
    while True:
        try:
            now = {v["id"]: v["progress"] for v in videos(server) if v["status"] == "in_progress"}
        except OSError:
            now = {}
        if any(video_id in seen and seen[video_id] < progress < 80 for video_id, progress in now.items()):
            return
        seen = now
        time.sleep(0.1)


def videos(server: ServeProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"has_more": True, "last_id": None}
    while page["has_more"]:
        after = f"&after={page['last_id']}" if page["last_id"] else ""
        status, page = server.call("GET", f"/v1/videos?limit=100{after}")
        if status != 200:
            raise OSError(page)
        found += page["data"]
    return found


def states(server: ServeProcess, jobs: list[str]) -> str:
    try:
        found = videos(server)
        running = [v["progress"] for v in found if v["status"] == "in_progress"]
        return f"{dict(Counter(v['status'] for v in found))}, progress {running}"
    except OSError:
        return f"{len(jobs)} jobs"


def kill(server: ServeProcess, what: str, crash_database: str | None) -> None:
    if what == "database":
        subprocess.run(str(crash_database), shell=True, check=True, stdout=subprocess.DEVNULL)
    elif what == "supervisor":
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        time.sleep(2.0)  # its children end when they notice
        server.start(ready=False)
    else:
        for module in MODULES[what]:
            server.kill(module)


def wait_for_all(server: ServeProcess, jobs: list[str], most_seconds: float = 3_600.0) -> None:
    deadline, said = time.monotonic() + most_seconds, 0.0
    while time.monotonic() < deadline:
        try:
            open_jobs = [v for v in videos(server) if v["status"] in ("queued", "in_progress")]
            if not open_jobs:
                return
            if time.monotonic() - said > 60:
                said = time.monotonic()
                print(f"{len(open_jobs)} jobs are not finished", flush=True)
        except OSError:
            pass
        time.sleep(2.0)


def check(server: ServeProcess, jobs: list[str]) -> list[str]:
    """What is wrong; empty if every job ended once, with one signed file that has a record."""
    found = {video["id"]: video for video in videos(server)}
    problems = [f"{job}: lost" for job in jobs if job not in found]
    log = Counter(line.split()[4] for line in server.log.read_text().splitlines() if line.endswith(" is finished"))
    folders = {folder.name: folder for folder in (server.data_dir / "videos").iterdir()}
    for video_id, video in found.items():
        if video["status"] != "completed":
            problems.append(f"{video_id}: {video['status']} {video['error']}")
            continue
        files = list(folders[video_id].glob("*.mp4"))
        if len(files) != 1 or read(files[0]).state != "trusted":
            problems.append(f"{video_id}: its files are {files}")
        if log[video_id] > 1:
            problems.append(f"{video_id}: finished {log[video_id]} times")
        problems += [f"{part}: left behind" for part in folders[video_id].glob(".*")]
    problems += [f"{name}: a folder without a record" for name in folders if name not in found]
    return problems


if __name__ == "__main__":
    main()
