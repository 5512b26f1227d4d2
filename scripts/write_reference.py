"""Writes docs/reference.md from the code itself: commands, settings, checks, tables, notebooks.

A test compares the file with what this makes, so that nothing stays undocumented.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main

from subjunctive_admin import cli, reports
from subjunctive_admin.content.checks import CHECKS, SOUND_EXERCISE, SOUND_VERB
from subjunctive_admin.models import Base
from subjunctive_admin.ops.health import registered
from subjunctive_admin.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"


def reference() -> str:
    """The whole page as Markdown."""
    parts = (_commands(), _exit_codes(), _settings(), _checks(), _content_checks(), _notebooks(), _tables())
    lines = ["# Reference", "", "Made by `scripts/write_reference.py`; a test keeps it true."]
    for part in parts:
        lines += ["", *part]
    return "\n".join(lines) + "\n"


def _commands() -> Iterator[str]:
    yield from ("## Commands", "", "| command | does | takes |", "|---|---|---|")
    for path, command in _walk(typer.main.get_command(cli.app), ()):
        takes = ", ".join(f"`{_spelling(p)}`" for p in command.params if p.name not in ("help", "version", "debug"))
        yield f"| `{' '.join(path)}` | {_first_line(command.help)} | {takes or '–'} |"


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
    for name, child in (children or {}).items():
        yield from _walk(child, (*path, name))


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return str(max(parameter.opts, key=len))


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def _exit_codes() -> Iterator[str]:
    yield from ("## Exit codes", "", "| code | means |", "|---|---|")
    yield "| 0 | ok |"
    yield "| 1 | a warning or a finding |"
    yield "| 2 | critical, or work that was begun has failed |"
    yield "| 3 | unknown, could not begin, or an unexpected error |"
    yield "| 64 | wrong usage |"
    yield "| 130, 143 | interrupted by Ctrl-C, by SIGTERM |"


def _settings() -> Iterator[str]:
    yield from ("## Settings", "", "Environment variables, read once when a command starts.", "")
    yield from ("| variable | default | meaning |", "|---|---|---|")
    for name, field in Settings.model_fields.items():
        default = (
            "the platform's data folder" if name == "home" else "unset" if field.default is None else field.default
        )
        yield f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |"


def _checks() -> Iterator[str]:
    yield from ("## Health checks", "", "| id | looks at | needs | next step |", "|---|---|---|---|")
    for check in registered():
        yield f"| `{check.id}` | {check.description} | {check.needs} | {check.remedy} |"


def _content_checks() -> Iterator[str]:
    yield from ("## Content checks", "")
    yield "Each is shown with what it passes and what it finds: fields of a verb or an exercise that is sound otherwise."
    yield from ("", "| sound | fields |", "|---|---|")
    yield from (f"| verb | {_example(SOUND_VERB)} |", f"| exercise | {_example(SOUND_EXERCISE)} |", "")
    yield from ("| id | severity | finds in | what | passes | finds | a fix |", "|---|---|---|---|---|---|---|")
    for check in CHECKS.values():
        mends = "offered" if check.mend else "–"
        passing = _example(check.passing) if check.passing else "as above"
        row = (f"`{check.id}`", check.severity, check.kind, check.title, passing, _example(check.failing), mends)
        yield f"| {' | '.join(row)} |"


def _example(fields: Mapping[str, Any]) -> str:
    """The fields of an example, one a line of its cell."""
    return "<br>".join(f"`{name}: {written(value)}`" for name, value in fields.items() if value)


def written(value: Any) -> str:
    """A value as an editor would write it; letters whose accents stand apart are shown as such."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {written(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(written(one) for one in value)
    text = str(value)
    marks = {c for c in text if unicodedata.combining(c)}
    for mark in marks:
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text if text.strip() and "  " not in text else repr(text)


def _notebooks() -> Iterator[str]:
    yield from ("## Notebooks", "", "| notebook | for | effect | parameters |", "|---|---|---|---|")
    for notebook in reports.list_notebooks():
        takes = "<br>".join(f"`{p.name}: {p.type} = {p.default!r}` {p.help}" for p in notebook.parameters)
        yield f"| `{notebook.name}`<br>{notebook.title} | {notebook.audience} | {notebook.effect} | {takes} |"


def _tables() -> Iterator[str]:
    yield from ("## Tables", "", "| table | holds |", "|---|---|")
    classes = {table: mapper.class_ for mapper in Base.registry.mappers for table in mapper.tables}
    for table in sorted(Base.metadata.tables.values(), key=lambda t: (t.schema or "", t.name)):
        yield f"| `{table.fullname}` | {_first_line(classes[table].__doc__)} |"


def main() -> int:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
