"""`subjunctive-admin lab` as a person sees it: the printed address in headless Chromium."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from subjunctive_admin.db import Database
from subjunctive_admin.lab import notebook_digest
from subjunctive_admin.resources import resource_folder

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The data folder of a person whose own Jupyter has a kernel `python3` that is no Python."""
    kernel = tmp_path / ".local" / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "Foreign", "language": "python"}))
    return tmp_path / "home"


@pytest.fixture
def address(home: Path, database: Database) -> Iterator[str]:
    """What the command prints; it is ended by Ctrl-C."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed; `apt-get install chromium` brings it")
    environment = os.environ | {
        "HOME": str(home.parent),
        "XDG_DATA_HOME": str(home.parent / ".local" / "share"),
        "SUBJUNCTIVE_HOME": str(home),
        "SUBJUNCTIVE_DATABASE_URL": database.url.render_as_string(hide_password=False),
    }
    command = [sys.executable, "-m", "subjunctive_admin", "lab", "--no-browser"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser that reaches nothing but this computer, and remembers who tried."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        page = browser.new_page(viewport={"width": 1440, "height": 1200})
        page.set_default_timeout(PATIENCE * 1000)
        yield page
        browser.close()


def wait_until_saved(path: Path, wanted: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while wanted not in path.read_text():
        assert time.monotonic() < deadline, f"{path} was not saved"
        time.sleep(0.1)


def test_the_printed_address_opens_the_first_notebook_which_runs_on_this_python_and_this_database(
    address: str, page: Page, home: Path, database: Database
) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("INSERT INTO ops.instance (environment) VALUES ('this-very-one')"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_text("Python 3 | Idle").wait_for()
    page.get_by_title("Notebook trusted").first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.get_by_text("this-very-one").wait_for()
    page.get_by_role("tab", name="00_start.ipynb").wait_for()

    # Nothing asks, tells news or reaches out.
    assert page.locator(".jp-Dialog, .Toastify__toast").count() == 0
    assert [url for url in asked if "://127.0.0.1:" not in url and not url.startswith(("data:", "blob:"))] == []

    page.keyboard.press("Control+s")
    copy, original = home / "notebooks" / "00_start.ipynb", resource_folder("notebooks") / "00_start.ipynb"
    wait_until_saved(copy, "this-very-one")
    assert notebook_digest(copy.read_text()) == notebook_digest(original.read_text())
