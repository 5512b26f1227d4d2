"""The examples for schedulers: their syntax is right, and every command in them is one of ours."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from subjunctive_admin import cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scheduling.md"
TEXT = PAGE.read_text(encoding="utf-8")
CONTRACT = ("backup create", "backup verify")
"""Commands that are agreed on; once they are built in, their options are checked like any other's."""

_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found, language
    return found


def cron_lines() -> list[str]:
    (block,) = blocks("cron")
    return [
        line for line in block.splitlines() if line and not line.startswith("#") and not re.match(r"[A-Z_]+=", line)
    ]


def units() -> dict[str, str]:
    """File name → text, of every unit; its first line is its name."""
    return {block.partition("\n")[0].removeprefix("# "): block for block in blocks("ini")}


def documents() -> list[dict[str, Any]]:
    return [document for block in blocks("yaml") for document in yaml.safe_load_all(block)]


def containers(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("containers", [])
        for inner in node.values():
            yield from containers(inner)


def commands() -> Iterator[list[str]]:
    """Every call of the program, as words behind its name."""
    for line in cron_lines():
        yield shlex.split(line.split(maxsplit=5)[5])
    for unit in units().values():
        yield from (shlex.split(line)[1:] for line in re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE))
    for document in documents():
        yield from (container["command"] for container in containers(document))
    for block in blocks("sh"):
        yield from (shlex.split(line) for line in block.splitlines() if line)


def is_cron_field(field: str, low: int, high: int) -> bool:
    for part in field.split(","):
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", part)
        if not match or not all(low <= int(number) <= high for number in match.groups()[:2] if number):
            return False
        if match[3] and not 1 <= int(match[3]) <= high:
            return False
    return True


@pytest.mark.parametrize("line", cron_lines())
def test_each_cron_line_has_five_fields_within_their_limits(line: str) -> None:
    fields = line.split(maxsplit=5)
    assert len(fields) == 6
    assert [is_cron_field(field, *limits) for field, limits in zip(fields, _LIMITS, strict=False)] == [True] * 5
    assert "%" not in fields[5], "cron takes a bare % for the end of a line"


@pytest.mark.parametrize("field", ["61", "*/0", "5-", "mon-", "1;2", ""])
def test_a_wrong_cron_field_would_be_seen(field: str) -> None:
    assert not is_cron_field(field, 0, 59)


@pytest.mark.parametrize("name", sorted(units()))
def test_each_unit_has_the_sections_and_keys_of_its_kind(name: str) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(units()[name])
    kind = name.rpartition(".")[2]
    assert parser.has_option("Unit", "Description")
    assert parser.sections() == (["Unit", "Service"] if kind == "service" else ["Unit", "Timer", "Install"])
    assert parser.has_option(*(("Service", "ExecStart") if kind == "service" else ("Timer", "OnCalendar")))


def test_each_timer_has_its_service() -> None:
    names = set(units())
    assert {name.replace(".timer", ".service") for name in names if name.endswith(".timer")} <= names


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for name, unit in units().items():
        (tmp_path / name).write_text(unit, encoding="utf-8")
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    ran = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert [line for line in ran.stderr.splitlines() if str(tmp_path) in line or "subjunctive-" in line] == []


def test_each_kubernetes_document_is_a_cron_job_that_never_runs_twice_at_once() -> None:
    for document in documents():
        assert (document["apiVersion"], document["kind"]) == ("batch/v1", "CronJob")
        spec = document["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        fields = spec["schedule"].split()
        assert [is_cron_field(field, *limits) for field, limits in zip(fields, _LIMITS, strict=True)] == [True] * 5
        pod = spec["jobTemplate"]["spec"]["template"]["spec"]
        assert pod["restartPolicy"] == "Never"
        assert {mount["name"] for one in pod["containers"] for mount in one["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }


def resolved(words: list[str]) -> tuple[str, Any, list[str]]:
    """The command's path, the command (None for none), and what it is given."""
    command, path = typer.main.get_command(cli.app), list[str]()
    rest = list(words)
    while rest and (children := getattr(command, "commands", None)):
        path.append(rest.pop(0))
        command = children.get(path[-1])
        if command is None:
            # A group that is not built in has its commands as its second word.
            return " ".join([*path, *rest[:1]]), None, rest[1:]
    return " ".join(path), command, rest


@pytest.mark.parametrize("words", sorted({" ".join(words) for words in commands()}))
def test_every_command_exists_and_takes_its_options(words: str) -> None:
    program, *given = words.split()
    assert program == "subjunctive-admin"
    path, command, rest = resolved(given)
    if command is None:
        assert path in CONTRACT, f"there is no command {path}"
        return
    taken = {option for parameter in command.params for option in parameter.opts}
    assert [option for option in rest if option.startswith("-") and option not in taken] == []


def test_a_command_that_there_is_none_of_would_be_seen() -> None:
    assert resolved(["helth"])[1] is None
    assert resolved(["report", "runn"])[:2] == ("report runn", None)


def test_each_kind_of_scheduler_runs_health_and_reports_or_backups() -> None:
    said = {" ".join(words[1:3]) for words in commands()}
    assert {"backup create", "backup verify", "report all", "report run"} <= said
    assert any(one.startswith("health") for one in said)


def test_no_example_holds_a_password() -> None:
    assert re.findall(r"://[^/\s@]+:[^/\s@]+@", TEXT) == []
