"""The answer of a health run: as values, as JSON, as text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from subjunctive_admin.look.markup import SYMBOLS, URGENCY
from subjunctive_admin.ops.health.registry import CONNECTIVITY, Readings
from subjunctive_admin.vocabulary import EXIT_CODE_OF_STATUS, Status, overall

CONTRACT_VERSION = 1

_WIDTH = 80
_LONGEST_TITLE = 90
_ASCII_SYMBOLS = {**SYMBOLS, Status.CRITICAL: "x", Status.OK: "ok", Status.SKIPPED: "-"}
_PLAIN = str.maketrans({"·": "|", "–": "-", "…": ".", "\u202f": " ", "\u00a0": " ", "“": '"', "”": '"', "≥": ">="})


@dataclass(frozen=True)
class CheckResult:
    """What one check found; `observed` is None when it could not look."""

    id: str
    title: str
    group: str
    status: Status
    observed: str | float | None
    threshold: dict[str, str | None]
    message: str
    remedy: str
    duration_ms: float
    readings: Readings | None = None
    """What was measured, for a chart; not part of the JSON."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """Numbers for the run history; not part of the JSON."""

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "id": self.id,
            "title": self.title,
            "group": self.group,
            "status": self.status.value,
            "observed": self.observed,
            "threshold": self.threshold,
            "message": self.message,
            "remedy": self.remedy,
            "duration_ms": self.duration_ms,
        }

    @property
    def sentences(self) -> tuple[str, str]:
        """The message as a title without full stop, and what follows its colon when the whole is long."""
        said = self.message.rstrip(".")
        if len(said) <= _LONGEST_TITLE or self.status is Status.UNKNOWN:
            return said, ""
        title, _, rest = said.partition(": ")
        return title, rest

    @property
    def limits(self) -> str:
        """The thresholds in words; empty without any."""
        named = [f"{word} at {limit}" for word, limit in self.threshold.items() if limit is not None]
        return ", ".join(named)


@dataclass(frozen=True)
class HealthReport:
    """One run over one server; `checks` in the order in which they are registered."""

    run_id: str
    started_at: datetime
    finished_at: datetime
    server: dict[str, Any]
    checks: tuple[CheckResult, ...]
    contract_version: int = CONTRACT_VERSION

    @property
    def overall(self) -> Status:
        """Critical before unknown before warning before ok."""
        return overall([one.status for one in self.checks])

    @property
    def exit_code(self) -> int:
        """0 ok, 1 warning, 2 critical, 3 unknown."""
        return EXIT_CODE_OF_STATUS[self.overall]

    @property
    def counts(self) -> dict[str, int]:
        """Status → number of checks, every status named, the most urgent first."""
        found = Counter(one.status for one in self.checks)
        return {status.value: found[status] for status in URGENCY}

    @property
    def findings(self) -> tuple[CheckResult, ...]:
        """The checks that need somebody, most urgent first."""
        wanted = (Status.CRITICAL, Status.WARNING, Status.UNKNOWN)
        return tuple(sorted((c for c in self.checks if c.status in wanted), key=lambda c: URGENCY.index(c.status)))

    @property
    def headline(self) -> str:
        """The most urgent finding and how many others there are, without full stop."""
        if not self.findings:
            return self._passed
        first, others = self.findings[0], len(self.findings) - 1
        said, _ = first.sentences
        if others == 0:
            return said
        return f"{said}; {others} other finding{'s' if others > 1 else ''}"

    @property
    def _passed(self) -> str:
        """Without a finding: what was skipped has not passed."""
        skipped = self.counts[Status.SKIPPED]
        passed = len(self.checks) - skipped
        if skipped and not passed:
            return "No check could judge yet"
        said = f"All {passed} checks passed" if passed != 1 else "The check passed"
        return f"{said}, {skipped} skipped" if skipped else said

    @property
    def is_unreachable(self) -> bool:
        """Whether there was no usable connection, so that no check could look."""
        return self.server["version"] is None and any(
            c.id == CONNECTIVITY and c.status is Status.CRITICAL for c in self.checks
        )

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return (self.finished_at - self.started_at).total_seconds()

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values, the contract of `--format json` and of result.json."""
        return {
            "contract_version": self.contract_version,
            "run_id": self.run_id,
            "started_at": _iso(self.started_at),
            "finished_at": _iso(self.finished_at),
            "server": self.server,
            "overall": self.overall.value,
            "counts": self.counts,
            "checks": [one.as_dict() for one in self.checks],
        }


def said_counts(counts: dict[str, int]) -> str:
    """`1 critical, 3 warnings, 27 ok`: the statuses that occur."""
    named = [
        f"{number} {word}{'s' if word == Status.WARNING and number > 1 else ''}"
        for word, number in counts.items()
        if number
    ]
    return ", ".join(named) or "no checks"


def health_text(report: HealthReport, *, ascii_only: bool = False) -> str:
    """The report for a terminal: 80 columns, findings first, what is ok summarised by group."""
    body = _unreachable(report) if report.is_unreachable else _reachable(report, ascii_only)
    number = 1 if report.is_unreachable else len(report.checks)
    foot = f"{number} check{'s' if number != 1 else ''} in {report.seconds:.1f} s. Exit code {report.exit_code}."
    whole = "\n".join(line.rstrip() for line in [*body, "", foot])
    return whole.translate(_PLAIN).encode("ascii", "replace").decode() if ascii_only else whole


def said_server(server: dict[str, Any]) -> str:
    """`PostgreSQL 18.4, embedded`, or the address of a server elsewhere."""
    version = f"PostgreSQL {server['version']}" if server["version"] else "PostgreSQL"
    return f"{version}, embedded" if server["embedded"] else f"{version} at {server['address']}"


def said_time(moment: datetime) -> str:
    """`22 Nov 2026 06:00 UTC`."""
    return f"{moment.astimezone(UTC):%-d %b %Y %H:%M} UTC"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _reachable(report: HealthReport, ascii_only: bool) -> list[str]:
    symbols = _ASCII_SYMBOLS if ascii_only else SYMBOLS
    place = [said_server(report.server), report.server["role"] or "role not known", said_time(report.started_at)]
    lines = _block(report.overall.upper(), [said_counts(report.counts), " · ".join(place)], 10)
    for one in report.findings:
        said = [one.message, _detail(one), f"Next: {one.remedy}"]
        lines += ["", *_block(f"  {symbols[one.status]} {one.status.value}", said, 14)]
    for status in (Status.INFO, Status.SKIPPED):
        chosen = [one for one in report.checks if one.status is status]
        lines += [""] * bool(chosen)
        for one in chosen:
            lines += _block(f"  {symbols[status]} {status.value}", [f"{one.id}  {one.message}"], 14)
    passed = _passed_by_group(report.checks)
    if passed:
        # In ASCII the symbol is the word.
        label = "  ok" if ascii_only else f"  {symbols[Status.OK]} ok"
        lines += ["", *_block(label, _filled(passed, _WIDTH - 14), 14)]
    return lines


def _detail(one: CheckResult) -> str:
    observed = "not seen" if one.observed is None else f"{one.observed}"
    return f"{one.id}: {', '.join(filter(None, [observed, one.limits]))}"


def _unreachable(report: HealthReport) -> list[str]:
    first = next(one for one in report.checks if one.id == CONNECTIVITY)
    others = len(report.checks) - 1
    said = [first.message]
    if others:
        said.append(f"{others} other check{'s' if others > 1 else ''} could not look: unknown, none is reported as ok.")
    return _block("CRITICAL", [*said, f"Next: {first.remedy}"], 10)


def _passed_by_group(checks: Iterable[CheckResult]) -> list[str]:
    every = list(checks)
    total, passed = Counter(c.group for c in every), Counter(c.group for c in every if c.status is Status.OK)
    return [f"{group} {passed[group]} of {total[group]}" for group in total if passed[group]]


def _filled(parts: list[str], width: int) -> list[str]:
    """Join parts by a dot as long as a line has room; a group's name is not broken."""
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(joined) > width:
            lines.append(part)
        else:
            lines[-1] = joined
    return lines


def _block(label: str, paragraphs: list[str], indent: int) -> list[str]:
    margin = " " * indent
    lines = [margin + line for paragraph in paragraphs for line in wrap(paragraph, _WIDTH - indent)]
    return [label.ljust(indent - 1) + " " + lines[0].lstrip(), *lines[1:]] if lines else [label]
