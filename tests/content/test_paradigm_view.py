"""The page of a verb: forms, what differs from regular, the rules, and an answer tried on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from subjunctive_admin.content import paradigm_view as view
from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.look import Cell, GroupRow, KeyFigures, Table
from subjunctive_admin.reports import find_notebook, run_report
from subjunctive_admin.settings import load_settings


def tables(verb: str) -> list[Table]:
    return [part for part in view.paradigm_view(view.read_paradigm(verb)) if isinstance(part, Table)]


def rows_of(table: Table) -> list[list[object]]:
    return [list(row) for row in table.rows if not isinstance(row, GroupRow)]


@pytest.mark.parametrize(
    ("form", "regular", "marked"),
    [
        ("empiece", "empeze", "iec"),
        ("busque", "busce", "qu"),
        ("tenga", "tena", "g"),
        ("sea", "sa", "e"),
        ("da", "daa", ""),
    ],
)
def test_the_letters_that_differ_from_the_regular_form_are_marked(form: str, regular: str, marked: str) -> None:
    letters = view._differing(form, regular)
    assert (form[slice(*letters)] if letters else "") == marked


def test_forms_that_regular_endings_would_not_give_are_strong() -> None:
    subjunctive = tables("empezar")[0]
    assert subjunctive.rows[0] == [
        "yo", Cell("empiece", strong=True, marked=(3, 6)), Cell("empezara / empezase"), Cell("empezare"),
    ]  # fmt: skip
    assert not any(
        cell.strong for table in tables("hablar") for row in rows_of(table) for cell in row if isinstance(cell, Cell)
    )


def test_a_cell_that_does_not_exist_is_none_and_an_older_spelling_a_note() -> None:
    assert tables("hablar")[-1].rows[0] == ["yo", None, None]
    assert rows_of(tables("guiar")[3])[0][2] == Cell(
        "guie / guié", note="older spelling: guié", strong=True, marked=(3, 4)
    )


def test_the_rules_say_whom_they_hold_for() -> None:
    rules = tables("empezar")[2]
    assert rules.rows[0] == [
        "present subjunctive", "yo, tú, él, ellos", "stem change e→ie (table e_ie); spelling z→c before e",
    ]  # fmt: skip
    assert ["imperfect subjunctive", "all persons", "regular -ar endings"] in list(rules.rows)


def test_the_figures_count_what_there_is_to_learn() -> None:
    (figures,) = [p for p in view.paradigm_view(view.read_paradigm("concernir")) if isinstance(p, KeyFigures)]
    assert [value for _, value, _ in figures.figures] == [8, 2, 4, "in part"]


def test_an_answer_is_read_in_a_table() -> None:
    paradigm = view.read_paradigm("buscar")
    section, table = view.answer_view(view.try_answer(paradigm, "present_subjunctive", "yo", "busce"), "busce")
    assert section.title == "“busce” is wrong"
    assert table.rows[0][:2] == ["spelling", "spelling rule missed"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("mesa", "present_subjunctive", "yo"), "is no Spanish infinitive"),
        (("hablar", "past", "yo"), "'past' is no tense"),
        (("hablar", "present_subjunctive", "we"), "'we' is no person"),
    ],
)
def test_what_makes_no_sense_is_refused(given: tuple[str, str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        view.try_answer(view.read_paradigm(given[0]), given[1], given[2], "x")


def test_the_notebook_shows_a_verb_of_ones_own(database: Database, tmp_path: Path) -> None:
    url = database.url.render_as_string(hide_password=False)
    run = run_report(
        find_notebook("21_conjugation_lab"),
        {"verb": "irse", "person": "yo", "answer": "me vaiga"},
        out=tmp_path,
        settings=load_settings(database_url=url),
    )
    page = (tmp_path / "21_conjugation_lab" / "21_conjugation_lab.html").read_text(encoding="utf-8")
    assert (run.error, run.headline) == (None, "irse is an irregular verb.")
    assert "“me vaiga” is wrong" in page
    assert "me vaya" in page
