"""Restarts `lumora serve` while clients create and poll, and counts what they see.

python benchmarks/serve_restart.py --restarts 6 --rate 20
"""

import argparse
import itertools
import json
import random
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from serve_kill import check, kill, wait_for_all
from serve_process import ServeProcess

POLLERS = 4


class Clients:
    """Pollers that read at a steady rate, and one client that creates a job every few seconds until it is stored."""

    def __init__(self, server: ServeProcess, rate: float, create_every: float) -> None:
        self.server, self.rate, self.create_every = server, rate, create_every
        self.jobs: list[str] = []
        self.answers: list[tuple[float, str, str]] = []
        """Time, kind of call, and its status or what happened to the connection."""
        self.created: dict[str, set[str]] = {}
        """The ids that were answered for each Idempotency-Key."""
        self.stopping = threading.Event()
        targets = [self._poll] * POLLERS + [self._create]
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def _poll(self) -> None:
        connection, draw = self._connection(), random.Random()
        while not self.stopping.wait(POLLERS / self.rate):
            jobs = list(self.jobs)
            path = f"/v1/videos/{draw.choice(jobs)}" if jobs and draw.random() < 0.9 else "/v1/videos?limit=20"
            self._call(connection, "GET", path)

    def _create(self) -> None:
        """As the SDK does: the same Idempotency-Key is sent again until the server answers with a job."""
        connection = self._connection()
        for number in itertools.count():
            if self.stopping.wait(self.create_every):
                return
            key = str(uuid.uuid4())
            body = json.dumps({"prompt": f"a ball {number}", "seconds": 1, "size": "32x32", "num_inference_steps": 8})
            headers = {"Content-Type": "application/json", "Idempotency-Key": key}
            while True:
                status, answer = self._call(connection, "POST", "/v1/videos", body, **headers)
                if status == "200":
                    self.created.setdefault(key, set()).add(answer["id"])
                    self.jobs.append(answer["id"])
                    break
                time.sleep(0.5)

    def _connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.server.port, timeout=60)

    def _call(
        self, connection: HTTPConnection, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[str, dict[str, Any]]:
        """The status, or what happened to the connection, and the answer."""
        answer: dict[str, Any] = {}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            status, answer = str(response.status), json.loads(response.read())
        except ConnectionRefusedError:
            connection.close()
            status = "refused"
        except (OSError, HTTPException) as error:  # the next request makes a new connection
            connection.close()
            status = type(error).__name__
        self.answers.append((time.monotonic(), method, status))
        return status, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=6, help="half of them by SIGTERM, half by SIGKILL")
    parser.add_argument("--rate", type=float, default=20.0, help="GET requests a second, of all pollers together")
    parser.add_argument("--create-every", type=float, default=3.0, help="seconds between two new jobs")
    parser.add_argument("--seconds", type=float, default=20.0, help="time between two restarts")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="serve-restart-"))
    server = ServeProcess(folder / "data", None)
    server.start()
    clients = Clients(server, options.rate, options.create_every)
    clients.start()
    restarts: list[tuple[str, float, float]] = []
    for number in range(options.restarts):
        time.sleep(options.seconds)
        began = time.monotonic()
        how = ("SIGTERM", "SIGKILL")[number % 2]
        if how == "SIGTERM":
            server.stop()
            server.start()
        else:
            kill(server, "supervisor", None)
            while not server.is_ready():
                time.sleep(0.2)
        restarts.append((how, began, time.monotonic()))
        print(json.dumps(seen(clients, *restarts[-1])), flush=True)
    time.sleep(options.seconds)
    clients.stop()
    wait_for_all(server, clients.jobs)
    problems = check(server, clients.jobs)
    problems += [f"{key}: {len(ids)} jobs" for key, ids in clients.created.items() if len(ids) != 1]
    outside = Counter(
        f"{method} {status}"
        for at, method, status in clients.answers
        if not any(began <= at <= ended for _, began, ended in restarts)
    )
    server.stop()
    print(json.dumps({"between restarts": dict(outside), "jobs": len(clients.jobs), "problems": problems}, indent=1))
    sys.exit(1 if problems else 0)


def seen(clients: Clients, how: str, began: float, ended: float) -> dict[str, object]:
    """What clients saw from the signal until the server was ready: seconds without any answer, and all answers."""
    during = [answer for answer in clients.answers if began <= answer[0] <= ended]
    answered = [at for at, _, status in during if status.isdigit()]
    gaps = [after - before for before, after in itertools.pairwise([began, *answered, ended])]
    return {
        "restart": how,
        "seconds until ready": round(ended - began, 1),
        "seconds without an answer": round(max(gaps), 1),
        "answers": dict(Counter(f"{method} {status}" for _, method, status in during)),
    }


if __name__ == "__main__":
    main()
