"""The studio in Chromium, against `lumora serve` with the default model."""

import base64
import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

from lumora.serve.app import create_app
from lumora.serve.database import create_tables
from lumora.serve.settings import ServeSettings

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `dev`")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")

expect = sync_api.expect
expect.set_options(timeout=60_000)
READY_SECONDS = 300
"""Machines of tests may be busy: processes that import torch start slowly there."""
MADE_MS = 300_000
VIEWS = ("create", "library", "storyboard", "storyboard/recut", "queue", "provenance", "review", "settings")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """A running `lumora serve`."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "log"
        command = [sys.executable, "-m", "lumora", "serve", "--port", self.url.rpartition(":")[2]]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--data-dir", str(folder / "data")],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )

    def wait(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(urllib.error.URLError):
                self.get("/readyz")
                return
            time.sleep(0.5)
        pytest.fail(f"The server does not start: {self._log.read_text()}")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, **body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def finished(self, video_id: str) -> dict[str, Any]:
        """The video, once it is made."""
        end = time.monotonic() + MADE_MS / 1000
        while (video := self.get(f"/v1/videos/{video_id}"))["status"] in ("queued", "in_progress"):
            assert time.monotonic() < end, video
            time.sleep(0.3)
        assert video["status"] == "completed", video["error"]
        return video

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("serve"))
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def clip(server: Server) -> dict[str, Any]:
    """A finished video, of few steps."""
    created = server.post("/v1/videos", prompt="a red ball bounces on a meadow", seed=7, num_inference_steps=4)
    return server.finished(created["id"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(server: Server, browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty page of a new profile. Errors of scripts and of the content security policy fail the test."""
    options = {"viewport": {"width": 1280, "height": 800}, **getattr(request, "param", {})}
    context = browser.new_context(base_url=server.url, **options)
    context.set_default_timeout(60_000)
    opened, errors = context.new_page(), []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    yield opened
    context.close()
    assert not errors


def submit(page: Any, prompt: str) -> str:
    """Sends the form of Create, with few steps; the id of the new video."""
    page.get_by_label("Prompt", exact=True).fill(prompt)
    few_steps(page)
    return created(page, page.locator(".composer button[type=submit]").click)


def created(page: Any, act: Callable[[], None]) -> str:
    """The id of the video that an action asks for."""
    asks = re.compile(r"/v1/videos(/(extensions|loops|cuts))?$")
    with page.expect_response(lambda answer: answer.request.method == "POST" and asks.search(answer.url)) as answered:
        act()
    assert answered.value.ok, answered.value.text()
    return answered.value.json()["id"]


def few_steps(page: Any) -> None:
    page.get_by_role("button", name="More settings").click()
    steps = page.get_by_role("spinbutton", name="Steps")
    steps.fill("4")
    steps.press("Tab")
    page.keyboard.press("Escape")


def plays(page: Any, selector: str) -> None:
    """A video on the page has loaded, and its time goes on."""
    video = page.locator(selector).first
    video.wait_for(timeout=MADE_MS)
    page.wait_for_function("video => video.readyState >= 2 && video.currentTime > 0.1", arg=video.element_handle())


def test_prompt_to_previews_to_a_playing_video_across_a_reload(page: Any, server: Server) -> None:
    page.goto("/")
    page.get_by_label("Prompt", exact=True).fill("a large red ball bounces to the right on a beach at noon")
    video_id = created(page, lambda: page.keyboard.press("Control+Enter"))
    preview = page.locator(".stage .forming img").last
    preview.wait_for(timeout=MADE_MS)
    assert preview.get_attribute("src").startswith("data:image/")
    page.reload()  # the job goes on without the page
    plays(page, ".stage .take video")
    made = server.finished(video_id)
    assert made["task"] == "text"
    expect(page.get_by_text(f"Seed {made['seed']}")).to_be_visible()


def test_details_are_added_to_a_prompt_and_can_be_edited(page: Any) -> None:
    page.goto("/")
    prompt = page.get_by_label("Prompt", exact=True)
    prompt.fill("a red ball on a beach")
    page.get_by_role("button", name="Add details").click()
    page.get_by_role("button", name="Other details").wait_for()
    assert "red ball" in prompt.input_value() and len(prompt.input_value()) > 40
    page.get_by_role("button", name="Undo the details").click()
    expect(prompt).to_have_value("a red ball on a beach")


def test_waiting_jobs_are_dragged_into_another_order(page: Any, server: Server) -> None:
    # Of different durations, so that a worker does not make them together.
    ids = [server.post("/v1/videos", prompt="a red ball", title=f"job {n}", seconds=12 - n)["id"] for n in range(4)]
    try:
        page.goto("/#/queue")
        grip = page.get_by_role("button", name=re.compile("^Move “job 3”"))
        box, top = grip.bounding_box(), page.locator("ol.jobs").bounding_box()
        page.mouse.move(box["x"] + 8, box["y"] + 8)
        page.mouse.down()
        page.mouse.move(box["x"] + 8, top["y"] - 8, steps=8)  # past several others
        with page.expect_response(re.compile("/v1/queue/reorder$")):
            page.mouse.up()
        waiting = [video["id"] for video in server.get("/v1/queue")["data"] if video["status"] == "queued"]
        assert waiting == [ids[3], *[video_id for video_id in ids[:3] if video_id in waiting]]
    finally:
        for video_id in ids:
            server.post(f"/v1/videos/{video_id}/cancel")


def test_a_dropped_image_becomes_the_first_frame(page: Any, server: Server, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (60, 120, 60)).save(tmp_path / "start.png")
    page.goto("/")
    page.get_by_label("Prompt", exact=True).wait_for()
    drop(page, tmp_path / "start.png", "image/png")
    page.get_by_role("button", name=re.compile("^First frame")).click()
    expect(page.locator(".input-card")).to_contain_text("start.png")
    video_id = submit(page, "a red ball rolls on a meadow")
    expect(page.locator(".input-card")).to_have_count(0)
    plays(page, ".stage .take video")
    assert server.finished(video_id)["task"] == "image"


def drop(page: Any, file: Path, kind: str) -> None:
    """Drops a file on the window."""
    content = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(
        """([content, name, type]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name, { type }));
            for (const event of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(event, { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [content, file.name, kind],
    )


@pytest.mark.parametrize(("action", "task"), [("Extend", "extend"), ("Loop", "loop")])
def test_a_video_is_extended_and_looped(
    page: Any, server: Server, clip: dict[str, Any], action: str, task: str
) -> None:
    page.goto("/#/library")
    card = page.locator(f".tile:has(a[href='#/video/{clip['id']}'])")
    card.hover()
    card.get_by_role("button", name=re.compile("^Actions")).click()
    page.get_by_role("menuitem", name=action, exact=True).click()
    expect(page.locator(".input-card")).to_contain_text(action)
    expect(page.locator(".composer button[type=submit]")).to_contain_text(action)
    made = server.finished(submit(page, "a red ball bounces"))
    expect(page.locator(".input-card")).to_have_count(0)
    assert (made["task"], made["parent_video_ids"]) == (task, [clip["id"]])
    assert made["made"]["seconds"] > clip["made"]["seconds"]
    plays(page, ".stage .take video")


def test_a_cut_of_the_storyboard_is_dragged(page: Any, server: Server) -> None:
    page.goto("/#/storyboard")
    page.get_by_label("Prompt of shot 1").fill("a red ball rolls on a meadow")
    page.get_by_label("Prompt of shot 2").fill("a blue cube stands in a room")
    cut = page.get_by_role("slider", name="Cut between shots 1 and 2")
    box, line = cut.bounding_box(), page.locator(".blocks").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - line["width"] / 4, y, steps=4)
    page.mouse.up()
    expect(cut).to_have_attribute("aria-valuenow", "1")
    cut.press("ArrowRight")
    expect(cut).to_have_attribute("aria-valuenow", "1.25")
    expect(page.get_by_role("spinbutton", name="Seconds").nth(1)).to_have_value("2.75")
    video_id = created(page, page.get_by_role("button", name="Make the video").click)
    plays(page, ".result video")
    shots = server.finished(video_id)["request"]["shots"]
    assert [shot["seconds"] for shot in shots] == [1.25, 2.75]
    drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, 64).data.some(value => value % 255)"
    page.wait_for_function(drawn, arg=page.locator(".result .filmstrip").element_handle())


def test_a_finished_video_is_split_and_saved(page: Any, server: Server, clip: dict[str, Any]) -> None:
    page.goto(f"/#/video/{clip['id']}")
    page.get_by_role("button", name="Re-cut").click()
    head = page.get_by_role("slider", name="Play head")
    head.fill("1")
    page.get_by_role("button", name="Split").click()
    expect(page.locator(".part")).to_have_count(2)
    page.get_by_role("slider", name="End of part 2").press("Shift+ArrowLeft")
    page.get_by_role("button", name="Part 2 of 2").press("ArrowLeft")
    made = server.finished(created(page, page.get_by_role("button", name="Save as a new video").click))
    page.get_by_role("button", name="Open").click()
    assert made["task"] == "cut" and made["made"]["seconds"] < clip["made"]["seconds"]
    plays(page, ".player video")


def test_the_origin_of_a_dropped_file_is_told_and_its_settings_come_back(
    page: Any, server: Server, clip: dict[str, Any], tmp_path: Path
) -> None:
    urllib.request.urlretrieve(server.url + clip["urls"]["video"], tmp_path / "clip.mp4")
    page.goto("/#/provenance")
    page.get_by_text("Choose a file").wait_for()
    drop(page, tmp_path / "clip.mp4", "video/mp4")
    expect(page.get_by_role("heading", name="Made here, and unchanged since")).to_be_visible(timeout=MADE_MS)
    page.get_by_role("button", name="Use its settings").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a red ball bounces on a meadow")
    expect(page.get_by_role("button", name="Seed 7")).to_be_visible()
    page.get_by_role("button", name="More settings").click()
    expect(page.get_by_role("spinbutton", name="Steps")).to_have_value("4")


def test_a_refused_prompt_is_answered_with_the_sentence_of_the_api(page: Any) -> None:
    page.goto("/")
    page.get_by_label("Prompt", exact=True).fill("a man beats a child bloody with a club")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("The prompt does not pass.")
    page.get_by_role("button", name="Appeal").click()
    page.get_by_label("Why is this prompt harmless?").fill("It is a scene of a play.")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("The reviewers will look at it.").wait_for()
    page.goto("/#/review")
    expect(page.get_by_text("It is a scene of a play.")).to_be_visible()


def test_text_of_users_is_never_markup(page: Any, server: Server, clip: dict[str, Any]) -> None:
    markup = "<img src=x onerror=alert(1)>"
    page.goto(f"/#/video/{clip['id']}")
    tag = page.get_by_label("Add a tag")
    tag.fill(markup)
    tag.press("Enter")
    expect(page.get_by_text(markup)).to_be_visible()
    assert server.get(f"/v1/videos/{clip['id']}")["tags"] == [markup]


@pytest.fixture
def keyed_server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The URL of an API without workers that needs a key, and a key for reading and creating."""
    settings = ServeSettings(str(tmp_path), port=free_port(), runtime_dir=str(tmp_path))
    create_tables(settings)
    app = create_app(settings)
    running = uvicorn.Server(uvicorn.Config(app, port=settings.port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{settings.port}", app.state.context.access.keys.create("test", ("create", "read"), None)[1]
    app.state.context.broker.close()
    running.should_exit = True
    thread.join()


def test_a_server_with_keys_asks_for_one(browser: Any, keyed_server: tuple[str, str]) -> None:
    url, key = keyed_server
    page = browser.new_page()
    page.goto(url)
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown or revoked")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="What should it show?")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Library")).to_be_visible()
    expect(page.get_by_role("link", name="Review")).to_have_count(0)
    assert key not in page.evaluate("JSON.stringify([document.cookie, {...localStorage}])")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("button", name="New key")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.close()


def test_the_pictures_of_the_documentation_are_taken(server: Server, clip: dict[str, Any], tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "docs" / "studio.py"
    command = [sys.executable, str(script), "--url", server.url, "--output-dir", str(tmp_path)]
    subprocess.run([*command, "--only", "storyboard"], check=True)
    assert Image.open(tmp_path / "storyboard.webp").size == (1440, 900)


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_every_view_fits_a_phone(page: Any, clip: dict[str, Any]) -> None:
    for view in (*VIEWS, f"video/{clip['id']}"):
        page.goto(f"/#/{view}")
        page.locator("main h1").first.wait_for(state="attached")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Settings").click()
    expect(page.get_by_role("heading", name="Appearance")).to_be_visible()


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_cut_is_dragged_by_touch(page: Any) -> None:
    page.goto("/#/storyboard")
    cut = page.get_by_role("slider", name="Cut between shots 1 and 2")
    box, line = cut.bounding_box(), page.locator(".blocks").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    for kind, shift in (("touchStart", 0.0), ("touchMove", 0.1), ("touchMove", 0.25)):
        points = [{"x": x + shift * line["width"], "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(cut).to_have_attribute("aria-valuenow", "3")


@pytest.mark.parametrize(
    "page", [{"bypass_csp": True, "color_scheme": theme} for theme in ("dark", "light")], indirect=True
)
def test_axe_finds_nothing(page: Any, clip: dict[str, Any]) -> None:
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("needs axe-playwright-python, of the extra `dev`, which brings axe-core")
    axe = (Path(found.origin).parent / "axe.min.js").read_text()
    for view in (*VIEWS, f"video/{clip['id']}"):
        page.goto(f"/#/{view}")
        page.locator("main h1").first.wait_for(state="attached")
        page.wait_for_timeout(500)  # until colors have stopped to fade
        page.evaluate(axe)
        violations = page.evaluate("axe.run().then(({violations}) => violations)")
        assert not violations, (view, [(v["id"], v["nodes"][0]["html"]) for v in violations])
