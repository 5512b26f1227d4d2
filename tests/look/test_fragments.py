"""What notebooks display: escaped, readable without HTML, and never an empty cell."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from dataclasses import asdict

import pandas as pd
import pytest

from subjunctive_admin.look import (
    Cell,
    CheckRow,
    CheckTable,
    Column,
    Finding,
    Findings,
    GroupRow,
    Header,
    KeyFigures,
    Note,
    StatusBoard,
    Steps,
    Table,
    section,
    status_pill,
    stylesheet,
    use_style,
)
from subjunctive_admin.look.fragments import Fragment
from subjunctive_admin.look.markup import duration, icon, moment, number, per_cent, plain, rich, written
from subjunctive_admin.vocabulary import Status

ATTACK = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"

EVERY_FRAGMENT: list[Fragment] = [
    Header(ATTACK, ATTACK, [(ATTACK, ATTACK)], ATTACK),
    Finding(Status.WARNING, ATTACK, ATTACK, ATTACK, ATTACK, ATTACK, id=ATTACK, since=ATTACK),
    Findings(ATTACK, ATTACK, [Finding(Status.OK, ATTACK)]),
    Findings(ATTACK, ATTACK, [], empty=ATTACK),
    StatusBoard({ATTACK: [Status.OK, (Status.CRITICAL, ATTACK)]}),
    CheckTable([CheckRow(Status.OK, ATTACK, ATTACK, ATTACK, ATTACK, ATTACK, ATTACK)], ATTACK),
    Table([ATTACK, Column(ATTACK, lang=ATTACK, code=True)], [[ATTACK, ATTACK], GroupRow(ATTACK)], ATTACK),
    Table(["a"], [[Cell(ATTACK, ATTACK, strong=True)]]),
    Table(["a"], [[Cell(ATTACK, marked=(20, 24))]]),
    KeyFigures([(ATTACK, ATTACK, ATTACK)]),
    Note(f"`{ATTACK}` *{ATTACK}* **{ATTACK}**"),
    Steps([(Status.OK, ATTACK, ATTACK, ATTACK)]),
    section(ATTACK, ATTACK),
    status_pill(Status.UNKNOWN, ATTACK),
]
NAMES = [f"{at} {type(fragment).__name__}" for at, fragment in enumerate(EVERY_FRAGMENT)]


def cells_of(html: str) -> list[str]:
    """The text of every cell of a table's body."""
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", html)]


@pytest.mark.parametrize("fragment", EVERY_FRAGMENT, ids=NAMES)
def test_no_text_becomes_an_element_or_leaves_its_attribute(fragment: Fragment) -> None:
    html = fragment._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "\"'&" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("fragment", EVERY_FRAGMENT, ids=NAMES)
def test_every_fragment_stands_under_the_class_that_scopes_the_style(fragment: Fragment) -> None:
    assert fragment._repr_html_().startswith('<div class="sj">')


@pytest.mark.parametrize("fragment", EVERY_FRAGMENT, ids=NAMES)
def test_every_fragment_is_readable_as_plain_text(fragment: Fragment) -> None:
    assert "alert(1)" in repr(fragment)
    assert "class=" not in repr(fragment)
    assert not repr(fragment).startswith(type(fragment).__name__)


def test_the_markup_knows_code_cited_spanish_and_the_expected_form() -> None:
    assert rich("run `a < b` for *ojalá* and **haga**") == (
        'run <code>a &lt; b</code> for <i lang="es">ojalá</i> and <strong>haga</strong>'
    )


@pytest.mark.parametrize("text", ["count(*)", "2 * 3 * 4", "a ` b", "* one", "**"])
def test_lone_stars_and_backticks_stay_what_they_are(text: str) -> None:
    assert rich(text) == text


def test_plain_text_loses_its_markup() -> None:
    assert plain("`a` is *ojalá* in **bold**") == "a is ojalá in bold"


def test_a_number_never_parts_from_its_unit() -> None:
    assert rich("83 % in 40 s, 5 sentences") == "83\u202f% in 40\u00a0s, 5 sentences"


def test_findings_are_listed_most_urgent_first_and_else_in_their_order() -> None:
    statuses = [Status.OK, Status.UNKNOWN, Status.WARNING, Status.CRITICAL, Status.INFO, Status.WARNING]
    text = repr(Findings("All", findings=[Finding(s, f"number {at}") for at, s in enumerate(statuses)]))
    assert re.findall(r"number (\d)", text) == ["3", "2", "5", "1", "4", "0"]


def test_no_findings_say_that_nothing_needs_the_reader() -> None:
    assert "Nothing needs you." in Findings("What needs you").html()


def test_a_finding_becomes_plain_json() -> None:
    assert asdict(Finding(Status.WARNING, "t", id="x"))["status"] == "warning"


def test_a_finding_without_value_or_step_leaves_no_empty_elements() -> None:
    html = Finding(Status.INFO, "Only a title").html()
    assert "Next" not in html
    assert "<p class" not in html


def test_the_board_counts_every_status_once_and_names_the_tiles() -> None:
    board = StatusBoard({"A": [Status.OK, Status.WARNING], "B": [(Status.WARNING, "Dead rows"), Status.CRITICAL]})
    assert repr(board).splitlines()[0] == "1 critical · 2 warnings · 1 ok"
    assert 'aria-label="Dead rows: warning"' in board.html()


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_shape_of_its_own_and_a_word(status: Status) -> None:
    shapes = {icon(other).split(">", 1)[1] for other in Status}
    assert len(shapes) == len(Status)
    assert status.value in status_pill(status).html().lower()


def test_an_icon_beside_its_word_is_hidden_and_one_alone_is_named() -> None:
    assert 'aria-hidden="true"' in icon(Status.OK)
    assert 'role="img" aria-label="Ok"' in icon(Status.OK, "Ok")


@pytest.mark.parametrize("missing", [None, "", float("nan"), pd.NaT, pd.NA])
def test_a_missing_value_is_a_dash_and_never_an_empty_cell(missing: object) -> None:
    assert cells_of(Table(["a"], [[missing]]).html()) == ["–"]


def test_a_table_can_say_that_missing_means_unknown() -> None:
    assert cells_of(Table(["a"], [[None]], missing="?").html()) == ["?"]


def test_numbers_stand_right_and_text_left() -> None:
    html = Table(["name", "n", "when it was not known"], [["a", 1, None], ["b", 2, 3]]).html()
    assert re.findall(r'<th scope="col" class="([^"]+)"', html) == ["sj-left", "sj-right", "sj-right"]


def test_a_column_has_one_precision() -> None:
    assert cells_of(Table(["rate"], [[0.5], [0.25], [0.125]]).html()) == ["0.50", "0.25", "0.12"]
    assert cells_of(Table([Column("share", decimals=1)], [[29.94], [3]]).html()) == ["29.9", "3.0"]


def test_a_row_must_fit_its_columns() -> None:
    with pytest.raises(ValueError, match="Row 2 has 1 cells for 2 columns"):
        Table(["a", "b"], [[1, 2], [1]])


def test_an_empty_table_says_that_it_has_no_rows() -> None:
    assert "No rows." in Table(["a", "b"], []).html()
    assert "No rows." in Table.from_frame(pd.DataFrame({"a": []})).html()


def test_a_frame_keeps_whole_numbers_whole_beside_fractions() -> None:
    frame = pd.DataFrame({"trigger": ["ojalá"], "n": [6818], "right": [0.86]})
    assert cells_of(Table.from_frame(frame).html()) == ["ojalá", "6\u202f818", "0.86"]


def test_a_frame_shows_a_named_index_and_titles_made_of_its_columns() -> None:
    frame = pd.DataFrame({"right_answers": [1]}, index=pd.Index(["yo"], name="person"))
    assert repr(Table.from_frame(frame)).split() == ["Person", "Right", "answers", "yo", "1"]


def test_a_frame_can_be_divided_by_a_column() -> None:
    frame = pd.DataFrame({"group": ["A", "A", "B"], "n": [1, 2, 3]})
    assert repr(Table.from_frame(frame, group_by="group")).split() == ["n", "A", "1", "2", "B", "3"]


def test_checks_stay_with_their_group_and_what_was_not_seen_is_a_question_mark() -> None:
    checks = CheckTable(
        [
            CheckRow(Status.OK, "One", "one", 1, group="A"),
            CheckRow(Status.OK, "Two", "two", 2, group="B"),
            CheckRow(Status.UNKNOWN, "Three", "three", None, group="A"),
        ]
    )
    assert re.findall(r"\b(One|Two|Three)\b", repr(checks)) == ["One", "Three", "Two"]
    assert "<strong>?</strong>" in checks.html()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (61204, "61\u202f204"),
        (-3, "−3"),
        (0.126, "0.13"),
        (24.0, "24"),
        (12.34, "12.3"),
        (0.0123, "0.012"),
        (True, "yes"),
        (Status.UNKNOWN, "Unknown"),
        (dt.date(2026, 11, 2), "2 Nov 2026"),
        (dt.datetime(2026, 11, 22, 7, tzinfo=dt.timezone(dt.timedelta(hours=1))), "22 Nov 2026, 06:00 UTC"),
        (dt.timedelta(hours=4, minutes=58), "4 h 58 min"),
        (pd.Timestamp("2026-11-22 06:00", tz="UTC"), "22 Nov 2026, 06:00 UTC"),
    ],
)
def test_values_are_written_the_house_way(value: object, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0.4 s"), (40, "40 s"), (90, "2 min"), (3600, "1 h"), (86400 * 16, "16 d"), (86400 + 7200, "1 d 2 h")],
)
def test_a_time_span_has_at_most_two_units(seconds: float, text: str) -> None:
    assert duration(dt.timedelta(seconds=seconds)) == text


def test_a_share_is_written_in_per_cent_that_do_not_part_from_their_sign() -> None:
    assert [per_cent(0.754), per_cent(0.754, 1), per_cent(1)] == ["75\u202f%", "75.4\u202f%", "100\u202f%"]


def test_a_moment_can_name_its_weekday_and_a_number_its_decimals() -> None:
    assert moment(dt.datetime(2026, 11, 22, 6, tzinfo=dt.UTC), weekday=True) == "Sunday 22 Nov 2026, 06:00 UTC"
    assert number(5, 1) == "5.0"


def test_the_style_shows_nothing_in_text_and_every_rule_stays_under_its_class() -> None:
    assert repr(use_style()) == "Style applied."
    rules = re.sub(r"/\*.*?\*/", "", stylesheet(), flags=re.DOTALL)
    selectors = [part for head in re.findall(r"([^{}]+)\{", rules) for part in head.split(",") if part.strip()]
    assert selectors
    assert all(".sj" in selector for selector in selectors)


def test_the_style_loads_nothing() -> None:
    assert "url(" not in stylesheet()
    assert "@import" not in stylesheet()


def test_importing_the_look_loads_nothing_heavy() -> None:
    code = (
        "import sys, subjunctive_admin.look, subjunctive_admin.look.page\n"
        "print(sorted({'pandas', 'plotly', 'nbconvert', 'nbformat', 'jinja2', 'mistune', 'IPython'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
