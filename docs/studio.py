"""Takes the pictures of docs/studio.md again, of a running server that has some videos.

    lumora serve --data-dir out/studio
    python docs/studio.py [--url http://127.0.0.1:8000] [--only create library …]

It makes one video, for the picture of Create. Needs playwright (of the extra `dev`) and Debian's chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

PROMPT = "A large red ball bounces to the right on a beach at noon"
SHOTS = (
    "A red ball rolls on a meadow",
    "A blue cube slides on snow at sunset",
    "A green cone spins in a room at night",
)
MADE_MS = 300_000
SETTLE_MS = 3_000
"""Until videos play and what enters has stopped to move."""


def fill_create(page: Page) -> None:
    """Asks for a video, and waits until it forms."""
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    page.keyboard.press("Control+Enter")
    page.locator(".stage .forming img").nth(1).wait_for(timeout=MADE_MS)


def fill_storyboard(page: Page) -> None:
    page.get_by_role("button", name="Add a shot").click()
    for number, prompt in enumerate(SHOTS, 1):
        page.get_by_label(f"Prompt of shot {number}").fill(prompt)
    cut = page.get_by_role("slider", name="Cut between shots 1 and 2")
    for _ in range(3):
        cut.press("ArrowRight")


def await_verdict(page: Page) -> None:
    page.locator(".verdict").wait_for(timeout=MADE_MS)


@dataclass(frozen=True)
class Screen:
    """A view, and what is done there before its picture is taken."""

    view: str
    """Its address; `{video}` is the id of the latest finished video."""
    theme: Literal["light", "dark"]
    size: tuple[int, int] = (1440, 900)
    prepare: Callable[[Page], None] = lambda page: None

    def take(self, browser: Browser, url: str) -> Image.Image:
        viewport: ViewportSize = {"width": self.size[0], "height": self.size[1]}
        is_phone = self.size == PHONE
        page = browser.new_page(
            viewport=viewport, color_scheme=self.theme, has_touch=is_phone, is_mobile=is_phone, base_url=url
        )
        page.goto(f"/#/{self.view.format(video=latest_video(url))}")
        page.locator("main h1").first.wait_for(state="attached", timeout=MADE_MS)
        self.prepare(page)
        page.wait_for_timeout(SETTLE_MS)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        page.close()
        return picture


TABLET, PHONE = (820, 1100), (390, 844)
PICTURES: dict[str, list[Screen]] = {
    "create": [Screen("create", "dark", prepare=fill_create)],
    "storyboard": [Screen("storyboard", "dark", prepare=fill_storyboard)],
    "library": [Screen("library", "light")],
    "video": [Screen("video/{video}", "dark")],
    "provenance": [Screen("provenance/{video}", "light", prepare=await_verdict)],
    "queue": [Screen("queue", "dark")],
    "review": [Screen("review", "light", TABLET)],
    "settings": [Screen("settings", "light", TABLET)],
    "phone": [Screen("create", "dark", PHONE), Screen("library", "light", PHONE), Screen("storyboard", "dark", PHONE)],
}
"""Screens of a picture, side by side."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--output-dir", type=Path, default=Path(__file__).parent / "studio")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES))
    options = parser.parse_args()
    options.output_dir.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in options.only:
            picture = side_by_side([screen.take(browser, options.url) for screen in PICTURES[name]])
            picture.save(options.output_dir / f"{name}.webp", quality=80, method=6)
        browser.close()


def latest_video(url: str) -> str:
    with urllib.request.urlopen(f"{url}/v1/videos?limit=1&status=completed") as answer:
        return json.load(answer)["last_id"]


def side_by_side(pictures: list[Image.Image], gap: int = 24) -> Image.Image:
    width = sum(picture.width + gap for picture in pictures) - gap
    sheet = Image.new("RGB", (width, pictures[0].height), "#808080")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + gap
    return sheet


if __name__ == "__main__":
    main()
