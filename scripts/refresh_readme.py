"""Runs the demo in an empty home and puts its real output and one real screenshot into the README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "pictures" / "health.png"
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
BLOCK = re.compile(r"(<!-- demo: [^>]*-->\n```\n).*?(```\n<!-- end -->)", re.DOTALL)


def demo_output(home: Path, folder: Path) -> str:
    """What a person sees who runs the demo for the first time, the narration first as on a terminal."""
    environment = {**os.environ, "SUBJUNCTIVE_HOME": str(home), "SUBJUNCTIVE_DATABASE_URL": ""}
    command = [sys.executable, "-m", "subjunctive_admin", "demo"]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout.replace(str(ROOT) + "/", "").replace(str(home), "~/.local/share/subjunctive-admin")


def stop(home: Path) -> None:
    """End the server that the demo left running."""
    environment = {**os.environ, "SUBJUNCTIVE_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "subjunctive_admin", "db", "stop"], env=environment, check=True)


def take_picture(page: Path) -> None:
    """The upper part of a report, as a browser without a network draws it."""
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        view = browser.new_page(viewport={"width": 1180, "height": 900})
        view.goto(page.as_uri())
        view.wait_for_selector(".main-svg")
        view.screenshot(path=str(PICTURE))
        browser.close()


def main() -> int:
    """Refresh both."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as base:
        home, folder = Path(base) / "home", Path(base) / "work"
        Path(base).chmod(0o711)
        folder.mkdir()
        try:
            said = demo_output(home, folder)
            take_picture(folder / "subjunctive-demo" / "12_health" / "12_health.html")
        finally:
            stop(home)
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda match: match[1] + said.strip("\n") + "\n" + match[2], text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
