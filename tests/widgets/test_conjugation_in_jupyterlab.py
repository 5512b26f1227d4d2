"""The conjugation lab as an editor meets it: JupyterLab in headless Chromium."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from subjunctive_admin.resources import resource_folder
from tests.widgets.test_verbs_in_jupyterlab import Lab, lab, page

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
NOTEBOOK = "21_conjugation_lab.ipynb"
__all__ = ["lab", "page"]  # fixtures


def test_another_verb_and_another_answer_change_what_is_below_in_place(lab: Lab, page: Page) -> None:
    shutil.copy(resource_folder("notebooks") / NOTEBOOK, lab.folder / "files")
    lab.open(page, NOTEBOOK)
    verb = page.get_by_label("Verb", exact=True)
    verb.wait_for()
    page.get_by_role("heading", name="“empiecemos” is wrong").wait_for()

    verb.fill("conducir")
    verb.press("Enter")
    page.get_by_role("heading", name="conducir is", exact=False).wait_for()
    answer = page.get_by_label("Answer", exact=True)
    answer.fill("conduzcamos")
    answer.press("Enter")

    page.get_by_role("heading", name="“conduzcamos” is correct").wait_for()
    page.get_by_role("heading", name="“empiecemos” is wrong").wait_for(state="hidden")
    page.get_by_role("cell", name="conduzcamos").first.wait_for()
