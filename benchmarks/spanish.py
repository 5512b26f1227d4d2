"""What Spanish costs: a verb in full, an answer, a library checked: `python benchmarks/spanish.py`.

In one process, medians over the whole shipped library; the last lines are whole commands against `python -c pass`.
The exit code is 1 when a bar is missed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from subjunctive_admin.content.checks import run_checks
from subjunctive_admin.content.conjugation import conjugate
from subjunctive_admin.content.diagnosis import diagnose, slips_of
from subjunctive_admin.seeding import library_of, read_seeds
from subjunctive_admin.vocabulary import LEARNT_TENSES, Person

ROUNDS = 7


def median_of(run: Callable[[], int]) -> float:
    """Milliseconds of one unit; `run` returns how many it did."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        count = run()
        found.append((time.perf_counter() - started) / count * 1000)
    return statistics.median(found)


def line(name: str, milliseconds: float, bar: float) -> bool:
    """Print one figure; True when the bar holds."""
    holds = milliseconds <= bar
    print(f"{name:<32}{milliseconds:10.3f} ms   bar {bar:g} ms   {'holds' if holds else 'MISSED'}", flush=True)
    return holds


def importing() -> float:
    """Milliseconds that importing the conjugator adds to starting Python."""
    # Compiled bytecode allowed: that is how the suite is installed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def seconds(code: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        return time.perf_counter() - started

    seconds("import subjunctive_admin.content.conjugation")
    pairs = [(seconds("import subjunctive_admin.content.conjugation"), seconds("pass")) for _ in range(ROUNDS)]
    return statistics.median(1000 * (ours - nothing) for ours, nothing in pairs)


def main() -> int:
    """Measure every bar of the Spanish."""
    library = library_of(item.content for item in read_seeds())
    verbs = list(library.verbs)
    answers = [
        (verb, tense, person, answer)
        for verb in verbs
        for tense in LEARNT_TENSES
        for person in (Person.YO, Person.NOSOTROS)
        for answer in ("hable", "zzz", *slips_of(verb, tense, person)[:2])
    ]

    def conjugated() -> int:
        return sum(bool(conjugate(verb).forms()) for verb in verbs)

    def diagnosed() -> int:
        return sum(bool(diagnose(*answer)) for answer in answers)

    def checked() -> int:
        fresh = library_of([*library.verbs.values(), *library.exercises])  # type: ignore[list-item]
        run_checks(fresh)
        return 1

    size = (len(library.verbs) + len(library.exercises)) / 700
    return 0 if all([
        line("conjugate a verb in full", median_of(conjugated), 0.15),
        line("diagnose an answer", median_of(diagnosed), 0.1),
        line("check 200 verbs + 500 exercises", median_of(checked) / size, 1000),
        line("import the conjugator", importing(), 30),
    ]) else 1  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
