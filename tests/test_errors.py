"""Every error is a sentence with the next step and an exit code; the tree in the module is the tree of the classes."""

from __future__ import annotations

import re

import pytest

from subjunctive_admin import errors
from subjunctive_admin.errors import ConstraintRefused, InvalidContent, SubjunctiveError

CLASSES = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, SubjunctiveError)]


def test_the_tree_at_the_top_of_the_module_is_the_tree_of_the_classes() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"([│├└─ ]*)([A-Z]\w+)( |$)", line):
            depth, name = len(found[1]) // 4, found[2]
            if depth or name == "SubjunctiveError":
                path[depth:] = [name]
                drawn[name] = path[depth - 1] if depth else "Exception"
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_says_what_it_means_and_ends_a_command_with_its_code(cls: type[SubjunctiveError]) -> None:
    assert cls.__doc__
    assert cls.__doc__.endswith(".")
    assert cls.exit_code == (64 if cls is errors.UsageError else 3 if issubclass(cls, errors.CouldNotBegin) else 2)


def test_the_next_step_stands_behind_the_sentence() -> None:
    error = SubjunctiveError("The server is old.", next_step="upgrade it")
    assert (str(error), error.message, error.next_step) == (
        "The server is old. Next: upgrade it",
        "The server is old.",
        "upgrade it",
    )
    assert str(SubjunctiveError("The server is old.")) == "The server is old."


def test_faults_of_content_are_reported_together() -> None:
    error = InvalidContent("Two faults:", ["verb ser: no gerund", "verb ir: no gerund"])
    assert error.faults == ("verb ser: no gerund", "verb ir: no gerund")
    assert str(error) == "Two faults:\n  verb ser: no gerund\n  verb ir: no gerund"


def test_a_refused_row_names_the_rule() -> None:
    assert ConstraintRefused("No.", constraint="ck_users_email").constraint == "ck_users_email"
