"""Takes the pictures of docs/studio.md again, of a running server that has some videos.

    lumora serve --data-dir out/studio
    python docs/studio.py [--url http://127.0.0.1:8000]

It makes one video, for the picture of Create. Needs playwright (of the extra `dev`) and Debian's chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).parent / "studio"
PROMPT = "A large red ball bounces to the right on a beach at noon"
SHOTS = (
    "A red ball rolls on a meadow",
    "A blue cube slides on snow at sunset",
    "A green cone spins in a room at night",
)
WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
Theme = Literal["light", "dark"]
PAGES: dict[str, Theme] = {"library": "light", "video": "dark", "provenance": "light"}
TABLET: ViewportSize = {"width": 820, "height": 1100}
WIDE_VIEWS: dict[str, tuple[ViewportSize, Theme]] = {
    "queue": (WIDE, "dark"),
    "review": (TABLET, "light"),
    "settings": (TABLET, "light"),
}
PHONE_VIEWS: dict[str, Theme] = {"create": "dark", "library": "light", "storyboard": "dark"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    url = parser.parse_args().url
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=WIDE, color_scheme="dark")
        video = take_create(page, url)
        take_storyboard(page, url)
        for name, theme in PAGES.items():
            page.emulate_media(color_scheme=theme)
            page.goto(f"{url}/#/{name}" if name == "library" else f"{url}/#/{name}/{video}")
            if name == "provenance":
                page.locator(".verdict").wait_for(timeout=300_000)
            page.wait_for_timeout(3_000)
            save(page.screenshot(), name)
        take_wide(browser, url)
        take_phone(browser, url)
        browser.close()


def take_create(page: Page, url: str) -> str:
    """The picture of a video that forms; waits until it is made, and returns its id."""
    page.goto(url)
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    page.keyboard.press("Control+Enter")
    page.locator(".stage .forming img").nth(1).wait_for(timeout=300_000)
    page.wait_for_timeout(1_000)
    save(page.screenshot(), "create")
    page.locator(".stage .take video").wait_for(timeout=300_000)
    return page.evaluate("fetch('/v1/videos?limit=1').then((answer) => answer.json()).then((list) => list.data[0].id)")


def take_storyboard(page: Page, url: str) -> None:
    page.goto(f"{url}/#/storyboard")
    page.get_by_role("button", name="Add a shot").click()
    for number, prompt in enumerate(SHOTS, 1):
        page.get_by_label(f"Prompt of shot {number}").fill(prompt)
    cut = page.get_by_role("slider", name="Cut between shots 1 and 2")
    for _ in range(3):
        cut.press("ArrowRight")
    page.wait_for_timeout(500)
    save(page.screenshot(), "storyboard")


def take_wide(browser: Browser, url: str) -> None:
    """Queue, Review and Settings show what the server has: waiting jobs and open cases."""
    for view, (viewport, theme) in WIDE_VIEWS.items():
        page = browser.new_page(viewport=viewport, color_scheme=theme)
        page.goto(f"{url}/#/{view}")
        page.wait_for_timeout(3_000)
        save(page.screenshot(), view)
        page.close()


def take_phone(browser: Browser, url: str) -> None:
    """Three views side by side."""
    pictures = []
    for view, theme in PHONE_VIEWS.items():
        page = browser.new_page(viewport=PHONE, color_scheme=theme, has_touch=True, is_mobile=True)
        page.goto(f"{url}/#/{view}")
        page.wait_for_timeout(3_000)
        pictures.append(Image.open(io.BytesIO(page.screenshot())))
        page.close()
    gap = 24
    sheet = Image.new("RGB", (3 * PHONE["width"] + 2 * gap, PHONE["height"]), "#808080")
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number * (PHONE["width"] + gap), 0))
    sheet.save(FOLDER / "phone.webp", quality=80, method=6)


def save(png: bytes, name: str) -> None:
    Image.open(io.BytesIO(png)).convert("RGB").save(FOLDER / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
