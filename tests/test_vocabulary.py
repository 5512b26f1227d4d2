"""The words of the domain: one label everywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from enum import StrEnum

import pytest

from subjunctive_admin import vocabulary
from subjunctive_admin.vocabulary import (
    EXIT_CODE_OF_STATUS,
    LEARNT_TENSES,
    SUBJUNCTIVE_TENSES,
    CefrLevel,
    Person,
    Status,
    Tense,
    overall,
)

ENUMS = [cls for cls in vars(vocabulary).values() if isinstance(cls, type) and issubclass(cls, StrEnum)][1:]


@pytest.mark.parametrize("cls", ENUMS, ids=lambda cls: cls.__name__)
def test_every_vocabulary_has_plain_distinct_labels_and_says_what_it_is(cls: type[StrEnum]) -> None:
    labels = [member.value for member in cls]
    assert cls.__doc__
    assert len(set(labels)) == len(labels) == len(cls.__members__)
    pattern = r"[A-C][12]" if cls is CefrLevel else r"[a-z][a-z0-9_]*|>=?"
    assert [label for label in labels if not re.fullmatch(pattern, label)] == []


@pytest.mark.parametrize("cls", ENUMS, ids=lambda cls: cls.__name__)
def test_the_name_of_a_member_is_its_label(cls: type[StrEnum]) -> None:
    # PostgreSQL, Python, JSON and YAML: one word.
    wrong = [m.name for m in cls if m.name != m.value.upper() and not m.value.startswith(">")]
    assert wrong == []
    assert json.loads(json.dumps(list(cls))) == [m.value for m in cls]


def test_there_are_six_tenses_of_the_subjunctive_and_six_persons() -> None:
    assert [t.value for t in SUBJUNCTIVE_TENSES] == [
        "present_subjunctive",
        "imperfect_subjunctive",
        "future_subjunctive",
        "present_perfect_subjunctive",
        "pluperfect_subjunctive",
        "future_perfect_subjunctive",
    ]
    assert (len(Tense), [p.value for p in Person]) == (18, ["yo", "tu", "el", "nosotros", "vosotros", "ellos"])


def test_the_tenses_learnt_today_are_those_without_a_future() -> None:
    assert [t for t in SUBJUNCTIVE_TENSES if "future" not in t] == list(LEARNT_TENSES)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], Status.OK),
        ([Status.OK, Status.INFO, Status.SKIPPED], Status.OK),
        ([Status.OK, Status.WARNING], Status.WARNING),
        ([Status.WARNING, Status.UNKNOWN], Status.UNKNOWN),
        ([Status.UNKNOWN, Status.CRITICAL, Status.WARNING], Status.CRITICAL),
    ],
)
def test_the_worst_status_stands_for_all(statuses: list[Status], expected: Status) -> None:
    assert overall(statuses) is expected


def test_every_status_has_its_exit_code() -> None:
    assert {status.value: EXIT_CODE_OF_STATUS[status] for status in Status} == {
        "ok": 0, "info": 0, "warning": 1, "critical": 2, "unknown": 3, "skipped": 0,
    }  # fmt: skip


def test_the_vocabulary_needs_the_standard_library_only() -> None:
    program = "import sys, subjunctive_admin.vocabulary, subjunctive_admin.errors; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert {"sqlalchemy", "pydantic", "pandas", "rich", "typer"} & set(loaded.split()) == set()
