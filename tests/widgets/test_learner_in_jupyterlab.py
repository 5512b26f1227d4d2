"""The choice of a learner as an analyst meets it: JupyterLab in headless Chromium."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.resources import resource_folder
from tests.analytics.practice import School
from tests.widgets.test_verbs_in_jupyterlab import Lab, lab, page

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
NOTEBOOK = "30_learner_performance.ipynb"
__all__ = ["lab", "page"]  # fixtures


def test_another_learner_is_chosen_and_the_charts_change_in_place(lab: Lab, page: Page, database: Database) -> None:
    with database.session(write=True) as session:
        school = School(session)
        for name, answers in (("marta", 30), ("ivan", 14)):
            learner = school.learner(name)
            for day in range(answers):
                school.answer(learner, day * 1.2, right=day % 4 > 0)
    shutil.copy(resource_folder("notebooks") / NOTEBOOK, lab.folder / "files")
    lab.open(page, NOTEBOOK)
    field = page.get_by_label("Learner", exact=True)
    field.wait_for()
    # Headings: the table of contents at the side holds the same words.
    page.get_by_role("heading", name="marta practised on 30 of 90 days").wait_for()
    charts = page.locator(".js-plotly-plot").count()

    field.fill("iv")
    field.press("Enter")

    page.get_by_text("ivan: 14 answers in these days.").wait_for()
    page.get_by_role("heading", name="ivan practised on 14 of 90 days").wait_for()
    page.get_by_role("heading", name="After a day or more, ivan still knows").wait_for()
    page.get_by_role("heading", name="marta practised on").wait_for(state="hidden")
    assert page.locator(".js-plotly-plot").count() == charts
