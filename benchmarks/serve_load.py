"""Load of `lumora serve`: latency of GET /v1/videos/{id} while jobs run, and throughput against the bare pipeline.

python benchmarks/serve_load.py --rate 200 --seconds 20 --jobs 8
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from serve_process import ServeProcess

PROMPT = "a red ball bounces on a meadow"
THREADS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    os.environ.setdefault("LUMORA_STATE", tempfile.mkdtemp(prefix="serve-load-state-"))
    print(json.dumps({"bare pipeline": bare(options.jobs, options.steps)}), flush=True)
    for batch_size in options.batch_sizes:
        server = ServeProcess(
            Path(tempfile.mkdtemp(prefix="serve-load-")) / "data", None, "--batch-size", str(batch_size)
        )
        server.start()
        server.finished(server.create(PROMPT, num_inference_steps=2)["id"])  # loads the model
        print(json.dumps({f"queue, batches of {batch_size}": queue(server, options.jobs, options.steps)}), flush=True)
        if batch_size == options.batch_sizes[0]:
            idle = latency(server, options.rate, options.seconds)
            running = server.create(PROMPT, num_inference_steps=1_000, seconds=20)
            busy = latency(server, options.rate, options.seconds)
            server.call("POST", f"/v1/videos/{running['id']}/cancel")
            print(json.dumps({"GET, idle": idle, "GET, a job runs": busy}, indent=1), flush=True)
        server.stop()


def bare(jobs: int, steps: int) -> dict[str, float]:
    """`service.generate` in a loop, with the model loaded."""
    from lumora.backends.lumora.backend import LumoraBackend
    from lumora.request.spec import Request
    from lumora.service.generate import generate
    from lumora.service.moderation import Moderation

    backend, moderation = LumoraBackend(), Moderation.load()
    with tempfile.TemporaryDirectory() as folder:
        generate(Request(PROMPT, num_inference_steps=2), backend, Path(folder) / "first.mp4", moderation)
        began, processor = time.monotonic(), sum(os.times()[:2])
        for number in range(jobs):
            request = Request(PROMPT, seed=number, num_inference_steps=steps)
            generate(request, backend, Path(folder) / f"{number}.mp4", moderation)
        return _per_job(time.monotonic() - began, sum(os.times()[:2]) - processor, jobs)


def queue(server: ServeProcess, jobs: int, steps: int) -> dict[str, float]:
    """The same jobs through the server; the processor time is the worker's."""
    (worker,) = server.children("worker")
    began, processor = time.monotonic(), processor_seconds(worker)
    ids = [server.create(PROMPT, seed=number, num_inference_steps=steps)["id"] for number in range(jobs)]
    for video_id in ids:
        assert server.finished(video_id)["status"] == "completed"
    return _per_job(time.monotonic() - began, processor_seconds(worker) - processor, jobs)


def _per_job(seconds: float, processor: float, jobs: int) -> dict[str, float]:
    return {"seconds a job": round(seconds / jobs, 2), "processor seconds a job": round(processor / jobs, 2)}


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def latency(server: ServeProcess, rate: float, seconds: float) -> dict[str, float]:
    """Milliseconds of answers to requests that are sent at fixed times, whatever the others do."""
    video_id = server.call("GET", "/v1/videos")[1]["data"][0]["id"]
    taken: list[float] = []
    began = time.monotonic() + 0.5

    def client(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", server.port)
        for count in range(number, int(rate * seconds), THREADS):
            planned = began + count / rate
            time.sleep(max(0.0, planned - time.monotonic()))
            connection.request("GET", f"/v1/videos/{video_id}")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            taken.append(1e3 * (time.monotonic() - planned))  # with the time that it waited for its turn

    threads = [threading.Thread(target=client, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = statistics.quantiles(taken, n=100)
    return {
        "requests": len(taken),
        "p50 ms": round(cuts[49], 1),
        "p99 ms": round(cuts[98], 1),
        "max ms": round(max(taken), 1),
    }


if __name__ == "__main__":
    main()
