"""The pool drawn while a load runs, as operations meet it: JupyterLab in headless Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from subjunctive_admin.resources import resource_folder
from tests.widgets.test_verbs_in_jupyterlab import Lab, lab, page

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
NOTEBOOK = "13_pool.ipynb"
__all__ = ["lab", "page"]  # fixtures


def test_the_pool_is_drawn_while_the_load_runs_and_whole_when_it_is_over(lab: Lab, page: Page) -> None:
    source = (resource_folder("notebooks") / NOTEBOOK).read_text(encoding="utf-8")
    longer = source.replace("checkouts: int = 600", "checkouts: int = 6000")
    assert longer != source
    (lab.folder / "files" / NOTEBOOK).write_text(longer, encoding="utf-8")
    lab.open(page, NOTEBOOK)

    drawn = page.get_by_role("heading", name="connections were in use")
    drawn.wait_for()
    # The load still runs: the page with its own heading is not there yet.
    assert page.get_by_role("heading", name="The pool has room").count() == 0
    assert page.locator(".js-plotly-plot").count() == 1

    page.get_by_role("heading", name="The pool has room").wait_for()
    assert drawn.count() == 1
    assert page.locator(".js-plotly-plot").count() == 2
