"""A health report for other programs: one line for Nagios and its kin, OpenMetrics for a textfile collector."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from subjunctive_admin.ops.health.report import CheckResult, HealthReport
from subjunctive_admin.vocabulary import EXIT_CODE_OF_STATUS, Status

_COUNTED = (Status.CRITICAL, Status.WARNING, Status.UNKNOWN, Status.OK)
_UNITS = {"seconds": "s", "bytes": "B"}


def nagios_line(report: HealthReport) -> str:
    """`SUBJUNCTIVE CRITICAL - what | perfdata`: the plug-in's one line; the exit code is the report's own.

    Perfdata are how many checks ended how, the time taken in seconds, and what the checks measured.
    """
    counts = [f"{status}={report.counts[status]}" for status in _COUNTED]
    measured = [f"{name}={_decimal(value)}{_unit(name)}" for name, value in figures(report).items()]
    # A bar begins the perfdata and a line feed the next output: neither may stand in the sentence.
    said = re.sub(r"[|\s]+", " ", report.headline).strip()
    perfdata = " ".join([*counts, f"time={report.seconds:.3f}s", *measured])
    return f"SUBJUNCTIVE {report.overall.upper()} - {said} | {perfdata}"


def _decimal(value: float) -> str:
    """Without an exponent, which not every reader of perfdata knows."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _unit(name: str) -> str:
    return _UNITS.get(name.rpartition("_")[2], "")


def figures(report: HealthReport) -> dict[str, float]:
    """`check_fact` → number, of every check; not those of single tables, whose names are no names of figures."""
    return {
        f"{one.id}_{name}".replace("-", "_"): float(value)
        for one in report.checks
        for name, value in sorted(one.facts.items())
        if re.fullmatch(r"[a-z][a-z0-9_]*", name)
    }


def openmetrics(report: HealthReport) -> str:
    """The report as OpenMetrics text: gauges whose labels are ids and statuses, never names of objects.

    Times are seconds since 1970 in UTC; `last_success` is left out until a run has ended without a finding.
    """
    lines = [
        *_gauge("status", "Worst finding: 0 ok, 1 warning, 2 critical, 3 unknown.", {"": report.exit_code}),
        *_gauge("checks", "Checks by how they ended.", {f'{{status="{s}"}}': n for s, n in report.counts.items()}),
        *_gauge("check_status", "One check: 0 ok, 1 warning, 2 critical, 3 unknown.", _statuses(report.checks)),
        *_gauge("duration_seconds", "How long the run took.", {"": round(report.seconds, 3)}),
        *_gauge("last_run_timestamp_seconds", "When the last run ended.", {"": report.finished_at.timestamp()}),
    ]
    if report.last_success:
        help_text = "When a run last ended without a finding."
        lines += _gauge("last_success_timestamp_seconds", help_text, {"": report.last_success.timestamp()})
    for name, value in figures(report).items():
        lines += _gauge(f"figure_{name}", "What the check measured.", {"": value})
    return "\n".join([*lines, "# EOF"]) + "\n"


def _statuses(checks: tuple[CheckResult, ...]) -> dict[str, int]:
    looked = (one for one in checks if one.status is not Status.SKIPPED)
    return {f'{{check="{one.id}"}}': EXIT_CODE_OF_STATUS[one.status] for one in looked}


def _gauge(name: str, help_text: str, values: Mapping[str, float]) -> Iterator[str]:
    whole = f"subjunctive_health_{name}"
    yield f"# TYPE {whole} gauge"
    yield f"# HELP {whole} {help_text}"
    for labels, value in values.items():
        yield f"{whole}{labels} {value!r}"
