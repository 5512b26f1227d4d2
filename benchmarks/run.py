"""The ratios that matter, each against a named peer in the same run: `python benchmarks/run.py [NAME ...]`.

Whole processes, one warm-up, then pairs in turn (ours, peer, ours, peer ...), so that a machine whose
speed drifts moves both. Printed are the medians and the median of the pairs' ratios or differences.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAIRS = 7
THREE_LIBRARIES = "import pandas, plotly.graph_objects, sqlalchemy"
CELLS = (
    f"{THREE_LIBRARIES}\nframe = pandas.DataFrame({{'x': [1, 2, 3], 'y': [4, 1, 5]}})",
    "figure = plotly.graph_objects.Figure(plotly.graph_objects.Scatter(x=frame['x'], y=frame['y']))",
    "from subjunctive_admin.look import Chart\nChart(figure, 'A chart', frame=frame)",
    "from subjunctive_admin.reports import finish\nfinish('Done', 'ok')",
)


@dataclass(frozen=True)
class Bar:
    """One comparison; `difference` bars are seconds above the peer, the others ratios to it."""

    name: str
    ours: list[str]
    peer: list[str]
    limit: float
    difference: bool = False


def notebook(path: Path) -> Path:
    """A notebook that uses the three libraries and draws one chart."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell{n}",
            "metadata": {},
            "source": source,
            "execution_count": None,
            "outputs": [],
        }
        for n, source in enumerate(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def bars(folder: Path) -> list[Bar]:
    """Every comparison of this project."""
    source = str(notebook(folder / "bench.ipynb"))
    suite = [sys.executable, "-m", "subjunctive_admin"]
    three = [sys.executable, "-c", THREE_LIBRARIES]
    nothing = [sys.executable, "-c", "pass"]
    stock = [sys.executable, "-m", "papermill", source, str(folder / "stock.ipynb"), "--no-progress-bar"]
    return [
        Bar("notebook-stock-kernel", [*suite, "report", "run", source, "--out", str(folder / "out")], three, 3.2),
        Bar(
            "notebook-fast-engine",
            [*suite, "report", "run", source, "--engine", "fast", "--out", str(folder / "fast")],
            three,
            2.0,
        ),
        Bar("stock-papermill-for-comparison", stock, three, 9.9),
        Bar("cli-help", [*suite, "--help"], nothing, 0.25, difference=True),
    ]


def seconds(command: Sequence[str]) -> float:
    """Wall time of one run; a command that fails is no measurement."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    return time.perf_counter() - started


def environment() -> dict[str, str]:
    """The caller's environment, compiled bytecode allowed: that is how the suite is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(bar: Bar) -> bool:
    """Print one bar's figures; True when it holds."""
    seconds(bar.ours), seconds(bar.peer)
    pairs = [(seconds(bar.ours), seconds(bar.peer)) for _ in range(PAIRS)]
    compare: Callable[[float, float], float] = (lambda a, b: a - b) if bar.difference else (lambda a, b: a / b)
    found = statistics.median(compare(ours, peer) for ours, peer in pairs)
    ours, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
    holds = found <= bar.limit
    unit = "s more" if bar.difference else "times"
    print(
        f"{bar.name:<32} {ours:6.2f} s  peer {peer:5.2f} s  {found:5.2f} {unit:<7} bar {bar.limit:g}  "
        f"{'holds' if holds else 'MISSED'}",
        flush=True,
    )
    return holds


FURTHER = "further-notebook-of-a-suite"
SUITE = """
import sys
from pathlib import Path
from subjunctive_admin import reports
with reports.prepared() as nursery:
    for number in range(int(sys.argv[2])):
        run = reports.run_report(reports.read_notebook(Path(sys.argv[1])), out=Path(sys.argv[3]), within=nursery)
        assert run.error is None, run.error
"""


def measure_further(folder: Path) -> bool:
    """What each notebook after the first costs, against importing the three libraries; True when the bar holds."""
    source = str(notebook(folder / "bench.ipynb"))
    more, limit = 4, 0.5

    def run(count: int) -> list[str]:
        return [sys.executable, "-c", SUITE, source, str(count), str(folder / "suite")]

    three = [sys.executable, "-c", THREE_LIBRARIES]
    seconds(run(1)), seconds(three)
    rounds = [(seconds(run(1 + more)), seconds(run(1)), seconds(three)) for _ in range(PAIRS)]
    costs = [(many - one) / more for many, one, _ in rounds]
    found = statistics.median(cost / peer for cost, (*_, peer) in zip(costs, rounds, strict=True))
    peer = statistics.median(row[2] for row in rounds)
    print(
        f"{FURTHER:<32} {statistics.median(costs):6.2f} s  peer {peer:5.2f} s  {found:5.2f} times   bar {limit:g}  "
        f"{'holds' if found <= limit else 'MISSED'}",
        flush=True,
    )
    return found <= limit


def main(names: Sequence[str]) -> int:
    """Measure the named bars, or all; the exit code is 1 when one is missed."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = [bar for bar in bars(Path(folder)) if not names or bar.name in names]
        missed = [bar.name for bar in chosen if not measure(bar)]
        if (not names or FURTHER in names) and not measure_further(Path(folder)):
            missed.append(FURTHER)
        return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
