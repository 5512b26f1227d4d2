"""The workbench as an editor sees it: JupyterLab in headless Chromium."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.resources import resource_folder
from tests.widgets.verbs import loaded, publish, verb

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
CHROMIUM = Path("/usr/bin/chromium")
NOTEBOOK = "20_curate_verbs.ipynb"
_PATIENCE = 60.0


class Lab:
    """A JupyterLab of this test's own, with its folder and token."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder, self.token = folder, secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._environment = {
            **os.environ,
            **{name: str(folder / "jupyter" / name.lower()) for name in _FOLDERS},
            "SUBJUNCTIVE_DATABASE_URL": database.url.render_as_string(hide_password=False),
        }
        settings = folder / "jupyter" / "jupyterlab_settings_dir" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        (folder / "files").mkdir()

    @contextmanager
    def running(self) -> Iterator[Lab]:
        with (self.folder / "lab.log").open("w") as log:
            process = subprocess.Popen(self._command(), env=self._environment, stdout=log, stderr=log)
            try:
                self._wait(lambda: self.get("/api/status") is not None, "JupyterLab did not answer")
                yield self
            finally:
                process.terminate()
                process.wait(20)

    def _command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.folder / 'files'}",
            "--ServerApp.allow_root=True",
            "--LabApp.news_url=None",
            "--LabApp.extension_manager=readonly",
        ]

    def get(self, path: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"token {self.token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    def _wait(self, condition: Any, otherwise: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise}: {(self.folder / 'lab.log').read_text()[-2000:]}")
            time.sleep(0.2)

    def open(self, page: Page, name: str) -> None:
        """Open a notebook and run all of it, once its kernel is ready."""
        page.goto(f"http://127.0.0.1:{self.port}/lab/tree/{name}?token={self.token}&reset")
        self._wait(self._kernel_is_idle, "The kernel did not become idle")
        page.get_by_text("| Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def _kernel_is_idle(self) -> bool:
        kernels = [session["kernel"] for session in self.get("/api/sessions") or []]
        return any(kernel["execution_state"] == "idle" and kernel["connections"] for kernel in kernels)


_FOLDERS = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "IPYTHONDIR",
)


@pytest.fixture
def lab(tmp_path: Path, database: Database) -> Iterator[Lab]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed; `apt-get install chromium` brings it")
    with Lab(tmp_path, database).running() as lab:
        yield lab


@pytest.fixture
def page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        page = browser.new_page(viewport={"width": 1440, "height": 1500})
        page.set_default_timeout(_PATIENCE * 1000)
        yield page
        browser.close()


def editable_copy(folder: Path) -> None:
    """The notebook with `apply` set, as an editor sets it."""
    shutil.copy(resource_folder("notebooks") / NOTEBOOK, folder)
    text = (folder / NOTEBOOK).read_text()
    assert "apply: bool = False" in text
    (folder / NOTEBOOK).write_text(text.replace("apply: bool = False", "apply: bool = True"))


def test_a_translation_is_corrected_in_the_browser(lab: Lab, page: Page, database: Database) -> None:
    publish(database, verb(), verb("cantar", english_translation="to sing"))
    editable_copy(lab.folder / "files")
    lab.open(page, NOTEBOOK)
    bench = page.locator(".sj-workbench")
    bench.get_by_label("Find a verb").fill("sing")
    bench.get_by_role("button", name="hablar", exact=True).wait_for(state="hidden")
    bench.get_by_role("button", name="cantar", exact=True).click()
    translation = bench.get_by_label("Translation", exact=True)
    page.wait_for_function("field => field.value === 'to sing'", arg=translation.element_handle())
    translation.fill("to sing, to chant")
    bench.get_by_role("button", name="Publish").click()
    bench.get_by_role("status").get_by_text("cantar is live as revision 2.").wait_for()
    live = loaded(database, "cantar")
    assert (live.revision, live.content.english_translation) == (2, "to sing, to chant")
