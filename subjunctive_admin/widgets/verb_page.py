"""What the curation notebook shows without a browser: a search, one verb's paradigm, its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from subjunctive_admin.content.store import HistoryLine, Loaded, VerbLine, history, load_verb, verb_lines
from subjunctive_admin.db import Database
from subjunctive_admin.errors import NotFound
from subjunctive_admin.look import Cell, Column, Finding, GroupRow, Header, Table, section
from subjunctive_admin.structures import VerbContent
from subjunctive_admin.vocabulary import PERSON_NAMES, ItemKind, Person, Status
from subjunctive_admin.widgets.entry import deed, history_steps, mood_and_tense, shown_tenses, write_forms


@dataclass(frozen=True)
class VerbPage:
    """A search and one verb at one moment; `loaded` is None when there is no such verb."""

    query: str
    found: Sequence[VerbLine]
    infinitive: str
    loaded: Loaded[VerbContent] | None
    history: Sequence[HistoryLine]
    findings: Sequence[Finding]

    @property
    def status(self) -> Status:
        """Ok when the verb is there to work on."""
        return self.findings[0].status if self.findings else Status.OK

    @property
    def headline(self) -> str:
        """The finding, or which revision of the verb is live."""
        if self.loaded is None:
            return self.findings[0].title.rstrip(".")
        return f"{self.infinitive} is {self.loaded.content.status} as revision {self.loaded.revision}"

    @property
    def detail(self) -> str:
        """How many verbs the search found."""
        return f"{len(self.found)} {'verb' if len(self.found) == 1 else 'verbs'} found"

    def view(self) -> list[Any]:
        """What the notebook displays, in order."""
        shown: list[Any] = [Header(self.headline, self.detail + (f" for “{self.query}”." if self.query else "."))]
        shown += self.findings
        if self.found:
            shown.append(found_table(self.found))
        if self.loaded is not None:
            content = self.loaded.content
            lead = f"{content.english_translation}. Gerund *{content.gerund}*, participle *{content.past_participle}*."
            shown += [section(f"*{content.infinitive}*", lead), paradigm_table(content)]
        if self.history:
            shown += [section("History", "Every state that went live, newest first."), history_table(self.history)]
        return shown


def read_page(database: Database, *, query: str = "", infinitive: str = "") -> VerbPage:
    """Read it all in one transaction; a verb that is not there is a finding, not an error."""
    with database.session() as session:
        found = verb_lines(session, query)
        try:
            loaded = load_verb(session, infinitive)
        except NotFound:
            loaded = None
        lines = history(session, ItemKind.VERB, infinitive)
        empty = loaded is None and not found and not verb_lines(session)
    return VerbPage(query, found, infinitive, loaded, lines, _findings(infinitive, loaded, empty))


def _findings(infinitive: str, loaded: Loaded[VerbContent] | None, empty: bool) -> list[Finding]:
    if loaded is not None:
        return []
    if empty:
        return [
            Finding(
                Status.WARNING,
                "The database holds no verbs yet.",
                next_step="`subjunctive-admin seed`",
                id="verbs-missing",
            )
        ]
    return [
        Finding(
            Status.WARNING,
            f"There is no verb “{infinitive}”.",
            next_step="correct the parameter `infinitive`, or add the verb",
            id="verb-unknown",
        )
    ]


def found_table(lines: Sequence[VerbLine]) -> Table:
    """One row per verb."""
    columns: list[Column | str] = [
        Column("Infinitive", lang="es"),
        "Translation",
        "Type",
        "Difficulty",
        "Rank",
        "Exercises",
        "Status",
        "Revision",
    ]
    rows = [
        [
            Cell(line.infinitive, strong=True),
            line.english_translation,
            line.verb_type.replace("_", " "),
            line.difficulty_level.value,
            line.frequency_rank,
            line.exercises,
            line.status.value,
            line.revision,
        ]
        for line in lines
    ]
    return Table(columns, rows, caption="At most 50 verbs; exercises are the published ones.")


def paradigm_table(content: VerbContent) -> Table:
    """One row per tense, one column per person; the form to teach stands first."""
    columns: list[Column | str] = ["Tense", *(Column(label, lang="es") for label in PERSON_NAMES.values())]
    rows: list[Any] = []
    heading = ""
    for tense in shown_tenses(content):
        mood, label = mood_and_tense(tense)
        if mood != heading:
            rows.append(GroupRow(mood))
            heading = mood
        forms = content.conjugations.get(tense, {})
        rows.append([label, *(write_forms(forms.get(person, [])) or None for person in Person)])
    return Table(columns, rows)


def history_table(lines: Sequence[HistoryLine]) -> Table:
    """One row per state, newest first, with every field it changed."""
    columns: list[Column | str] = [Column("Revision", align="right"), "When", "Who", "What", "Changed", "Note"]
    rows = [
        [
            line.revision,
            line.performed_at,
            line.actor,
            deed(line),
            "; ".join(f"{d.label}: {d.before or 'nothing'} → {d.after or 'nothing'}" for d in changes),
            line.note,
        ]
        for line, changes in history_steps(lines)
    ]
    return Table(columns, rows, caption="Times in UTC.")
