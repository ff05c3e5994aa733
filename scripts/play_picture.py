"""Takes the README's picture of the live page, docs/images/play.png, in headless Chromium.

    python scripts/play_picture.py

Needs the extra `play`, playwright (pip install playwright) and Chromium. The page shows its first preset.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "play.png"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


def main() -> None:
    command = [sys.executable, "-m", "edunn", "play", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        assert server.stdout is not None
        found = re.search(r"http\S+", server.stdout.readline())
        assert found is not None
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light", reduced_motion="reduce")
        page.goto(found[0])
        page.wait_for_function("() => document.body.ariaBusy === 'false'")
        page.screenshot(path=PICTURE)
        browser.close()
        server.terminate()
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
