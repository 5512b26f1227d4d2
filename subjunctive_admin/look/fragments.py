"""What a report is made of: frozen values that show themselves as HTML in a notebook and as text elsewhere.

Every text takes the same small markup: `code` in backticks, *cited Spanish* and **the expected form**.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from subjunctive_admin.look.markup import (
    DOES_NOT_APPLY,
    SYMBOLS,
    UNKNOWN,
    URGENCY,
    columns_of_text,
    counted,
    decimals_of,
    icon,
    is_number,
    mark,
    pill,
    plain,
    rich,
    word,
    written,
)
from subjunctive_admin.vocabulary import Status

if TYPE_CHECKING:
    import pandas as pd

Align = Literal["left", "right", "center"]


class Fragment:
    """Shows `html()` in a notebook and `text()` where there is no HTML."""

    def html(self) -> str:
        """The fragment as HTML, everything in it escaped."""
        raise NotImplementedError

    def text(self) -> str:
        """The fragment as readable lines."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return f'<div class="sj">{self.html()}</div>'

    def __repr__(self) -> str:
        return self.text()


_NEW = '<span class="sj-tag sj-new">New</span>'


def _optional(tag: str, kind: str, text: str) -> str:
    return f'<{tag} class="{kind}">{rich(text)}</{tag}>' if text else ""


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)


@dataclass(frozen=True, repr=False)
class Header(Fragment):
    """The top of a report: its finding as a sentence, what it means, and the facts it rests on."""

    title: str
    summary: str = ""
    facts: Sequence[tuple[str, object]] = ()
    kind: str = ""

    def html(self) -> str:
        """Title, summary and a line of facts."""
        facts = "".join(
            f"<div><dt>{rich(name)}</dt><dd>{rich(written(value))}</dd></div>" for name, value in self.facts
        )
        return (
            '<header class="sj-header">'
            + _optional("p", "sj-kind", self.kind)
            + f"<h1>{rich(self.title)}</h1>"
            + _optional("p", "sj-summary", self.summary)
            + (f'<dl class="sj-facts">{facts}</dl>' if facts else "")
            + "</header>"
        )

    def text(self) -> str:
        """Title, summary and facts, a line each."""
        return _lines(self.title, self.summary, " · ".join(f"{name} {written(value)}" for name, value in self.facts))


@dataclass(frozen=True, repr=False)
class Finding(Fragment):
    """One thing that was found: a sentence, its value and limit, and one next step."""

    status: Status
    title: str
    detail: str = ""
    next_step: str = ""
    observed: str = ""
    limit: str = ""
    id: str = ""
    since: str = ""
    """`new`, or how long it has been there: `since 3 runs`."""

    def html(self) -> str:
        """The finding in a card of its own."""
        return f'<ul class="sj-card sj-findings">{self.item()}</ul>'

    def item(self) -> str:
        """The finding as an item of a list."""
        since = _optional("span", "sj-tag", self.since) if self.since != "new" else _NEW
        anchor = f' id="{escape(self.id)}"' if self.id else ""
        step = f'<p class="sj-next"><b>Next</b> {rich(self.next_step)}</p>' if self.next_step else ""
        return (
            f'<li class="sj-finding sj-{self.status}"{anchor}>'
            f"<div>{mark(self.status)}{since}</div>"
            f"<div><h3>{rich(self.title)}</h3>{_optional('p', 'sj-detail', self.detail)}{step}</div>"
            f"<div>{_optional('p', 'sj-observed', self.observed)}{_optional('p', 'sj-limit', self.limit)}</div></li>"
        )

    def text(self) -> str:
        """Symbol, title and value; detail and next step below."""
        value = " ".join(part for part in (self.observed, f"({self.limit})" if self.limit else "") if part)
        return _lines(
            f"{SYMBOLS[self.status]} {word(self.status)}: {self.title}  {value}".rstrip(),
            f"    {self.detail}" if self.detail else "",
            f"    Next: {self.next_step}" if self.next_step else "",
        )


def _by_urgency(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: URGENCY.index(finding.status))


@dataclass(frozen=True, repr=False)
class Findings(Fragment):
    """A list of findings, most urgent first."""

    heading: str
    lead: str = ""
    findings: Sequence[Finding] = ()
    empty: str = "Nothing needs you."

    def html(self) -> str:
        """A heading and one card; when there is nothing, a card that says so."""
        items = "".join(finding.item() for finding in _by_urgency(self.findings))
        nothing = f'<li class="sj-finding sj-nothing">{mark(Status.OK, self.empty)}</li>'
        return section(self.heading, self.lead).html() + f'<ul class="sj-card sj-findings">{items or nothing}</ul>'

    def text(self) -> str:
        """The heading and the findings, most urgent first."""
        found = [finding.text() for finding in _by_urgency(self.findings)]
        return _lines(self.heading, self.lead, *(found or [self.empty]))


@dataclass(frozen=True, repr=False)
class StatusBoard(Fragment):
    """Every status at a glance: how many of each, and one tile per check by group.

    A tile is a status, or a pair of it and the name of its check.
    """

    groups: Mapping[str, Sequence[Status | tuple[Status, str]]]

    def _counts(self) -> list[tuple[Status, int]]:
        counts = Counter(_tile(tile)[0] for tiles in self.groups.values() for tile in tiles)
        return [(status, counts[status]) for status in URGENCY if counts[status]]

    def html(self) -> str:
        """A column of counts beside the groups' tiles."""
        counts = "".join(
            f'<li class="sj-{status}">{icon(status)}<b>{count}</b><span>{counted(status, count)}</span></li>'
            for status, count in self._counts()
        )
        groups = "".join(_board_group(title, tiles) for title, tiles in self.groups.items())
        return f'<div class="sj-card sj-board"><ul class="sj-counts">{counts}</ul><dl class="sj-groups">{groups}</dl></div>'

    def text(self) -> str:
        """The counts, then a line per group."""
        rows = [(title, " ".join(SYMBOLS[_tile(tile)[0]] for tile in tiles)) for title, tiles in self.groups.items()]
        return _lines(" · ".join(f"{n} {counted(s, n)}" for s, n in self._counts()), columns_of_text(rows))


def _tile(tile: Status | tuple[Status, str]) -> tuple[Status, str]:
    return (tile, "") if isinstance(tile, Status) else tile


def _board_group(title: str, tiles: Sequence[Status | tuple[Status, str]]) -> str:
    drawn = []
    for status, name in map(_tile, tiles):
        label = f"{plain(name)}: {status}" if name else word(status)
        drawn.append(f'<span class="sj-tile sj-{status}" title="{escape(label)}">{icon(status, label)}</span>')
    return f"<div><dt>{rich(title)}</dt><dd>{''.join(drawn)}</dd></div>"


@dataclass(frozen=True)
class Column:
    """A column of a table; without `align` numbers stand right and text left."""

    title: str
    _: KW_ONLY
    align: Align | None = None
    decimals: int | None = None
    lang: str = ""
    code: bool = False
    muted: bool = False
    optional: bool = False
    """Whether a narrow screen leaves it out."""

    @property
    def kinds(self) -> str:
        """The classes of its cells."""
        flags = {"sj-muted": self.muted, "sj-optional": self.optional}
        return " ".join([f"sj-{self.align or 'left'}", *(kind for kind, wanted in flags.items() if wanted)])


@dataclass(frozen=True)
class Cell:
    """A value with a second line, a stronger weight, or some letters of its text marked (from, to)."""

    value: object
    note: str = ""
    strong: bool = False
    marked: tuple[int, int] | None = None


def _marked(text: str, letters: tuple[int, int]) -> str:
    start, end = letters
    return f"{escape(text[:start])}<mark>{escape(text[start:end])}</mark>{escape(text[end:])}"


@dataclass(frozen=True)
class GroupRow:
    """A row that begins a group."""

    title: str


Row = Sequence[object] | GroupRow


@dataclass(frozen=True, repr=False)
class Table(Fragment):
    """A table in a card. Cells are values, `Status`, `Cell`; None and NaN show `missing`, never nothing.

    Numbers stand right with one precision a column; put "?" where a value is not known.
    """

    columns: Sequence[Column | str]
    rows: Sequence[Row]
    caption: str = ""
    missing: str = DOES_NOT_APPLY

    def __post_init__(self) -> None:
        for at, row in enumerate(self.rows, start=1):
            if not isinstance(row, GroupRow) and len(row) != len(self.columns):
                raise ValueError(f"Row {at} has {len(row)} cells for {len(self.columns)} columns.")

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        columns: Sequence[Column | str] | None = None,
        group_by: str | None = None,
        caption: str = "",
        missing: str = DOES_NOT_APPLY,
    ) -> Table:
        """The table of a DataFrame; a named index becomes its first columns, `group_by` a column of group rows."""
        if any(name is not None for name in frame.index.names):
            frame = frame.reset_index()
        groups = None if group_by is None else [str(value) for value in frame[group_by]]
        shown = frame if group_by is None else frame.drop(columns=group_by)
        titles = columns or [_title(name) for name in shown.columns]
        # Column by column: a row of a mixed frame would turn whole numbers into floats.
        values = list(zip(*(shown.iloc[:, at].tolist() for at in range(shown.shape[1])), strict=True))
        return cls(titles, _with_groups(values, groups), caption, missing)

    def _columns(self) -> list[Column]:
        """The columns with alignment and precision settled by what stands in them."""
        rows = [row for row in self.rows if not isinstance(row, GroupRow)]
        settled = []
        for at, given in enumerate(self.columns):
            column = Column(given) if isinstance(given, str) else given
            values = [_value(row[at]) for row in rows]
            numeric = [is_number(value) for value in values if value is not None]
            align = column.align or ("right" if numeric and all(numeric) else "left")
            decimals = decimals_of(values) if column.decimals is None else column.decimals
            settled.append(replace(column, align=align, decimals=decimals))
        return settled

    def html(self) -> str:
        """The table in a card that scrolls sideways when it must."""
        columns = self._columns()
        heads = "".join(f'<th scope="col" class="{column.kinds}">{rich(column.title)}</th>' for column in columns)
        caption = _optional("caption", "sj-note", self.caption)
        body = "".join(self._row(columns, row) for row in self.rows)
        empty = f'<tr><td class="sj-left sj-muted" colspan="{len(columns)}">No rows.</td></tr>'
        return (
            f'<div class="sj-card sj-scroll"><table class="sj-table">{caption}<thead><tr>{heads}</tr></thead>'
            f"<tbody>{body or empty}</tbody></table></div>"
        )

    def _row(self, columns: Sequence[Column], row: Row) -> str:
        if isinstance(row, GroupRow):
            return f'<tr class="sj-group"><th scope="rowgroup" colspan="{len(columns)}">{rich(row.title)}</th></tr>'
        return f"<tr>{''.join(self._cell(column, cell) for column, cell in zip(columns, row, strict=True))}</tr>"

    def _cell(self, column: Column, cell: object) -> str:
        given = cell if isinstance(cell, Cell) else Cell(cell)
        lang = f' lang="{escape(column.lang)}"' if column.lang else ""
        shown = _marked(str(given.value), given.marked) if given.marked else self._shown(column, given.value)
        shown = f"<strong>{shown}</strong>" if given.strong else shown
        return f'<td class="{column.kinds}"{lang}>{shown}{_optional("span", "sj-sub", given.note)}</td>'

    def _shown(self, column: Column, value: object) -> str:
        if isinstance(value, Status):
            return mark(value)
        text = written(value, column.decimals, self.missing)
        if column.code and text not in (DOES_NOT_APPLY, UNKNOWN):
            return f'<code class="sj-bare">{escape(text)}</code>'
        return rich(text)

    def text(self) -> str:
        """The table as aligned text."""
        columns = self._columns()
        lines: list[Sequence[str]] = [[column.title for column in columns]]
        for row in self.rows:
            if isinstance(row, GroupRow):
                lines.append([row.title])
            else:
                cells = zip(columns, row, strict=True)
                lines.append([written(_value(cell), column.decimals, self.missing) for column, cell in cells])
        widest = [[*line, *[""] * (len(columns) - len(line))] for line in lines]
        return _lines(columns_of_text(widest), self.caption)


def _value(cell: object) -> object:
    return cell.value if isinstance(cell, Cell) else cell


def _title(name: object) -> str:
    text = str(name).replace("_", " ")
    return text if len(text) == 1 else text[:1].upper() + text[1:]


def _with_groups(values: Sequence[Sequence[object]], groups: Sequence[str] | None) -> list[Row]:
    if groups is None:
        return list(values)
    rows: list[Row] = []
    before = None
    for group, row in zip(groups, values, strict=True):
        if group != before:
            rows.append(GroupRow(group))
        rows.append(row)
        before = group
    return rows


@dataclass(frozen=True)
class CheckRow:
    """One check of a `CheckTable`; limits that do not exist are None."""

    status: Status
    title: str
    id: str
    observed: object
    warning_at: object = None
    critical_at: object = None
    group: str = ""


@dataclass(frozen=True, repr=False)
class CheckTable(Fragment):
    """Every check with its value and limits, under the title of its group."""

    checks: Sequence[CheckRow]
    caption: str = ""

    def table(self) -> Table:
        """The checks as a plain table: groups stay together in the order of their first check."""
        right: dict[str, Any] = {"align": "right"}
        columns = [
            Column("Status"),
            Column("Check"),
            Column("Id", code=True, muted=True, optional=True),
            Column("Observed", **right),
            Column("Warning at", muted=True, **right),
            Column("Critical at", muted=True, **right),
        ]
        order = list(dict.fromkeys(check.group for check in self.checks))
        checks = sorted(self.checks, key=lambda check: order.index(check.group))
        groups = [check.group for check in checks] if any(order) else None
        return Table(columns, _with_groups([_check_cells(check) for check in checks], groups), self.caption)

    def html(self) -> str:
        """The table of checks."""
        return self.table().html()

    def text(self) -> str:
        """The checks as aligned text."""
        return self.table().text()


def _check_cells(check: CheckRow) -> list[object]:
    loud = check.status in (Status.CRITICAL, Status.WARNING, Status.UNKNOWN)
    unseen = check.observed is None and check.status is Status.UNKNOWN
    observed = Cell(UNKNOWN if unseen else check.observed, strong=loud)
    return [check.status, check.title, check.id, observed, check.warning_at, check.critical_at]


@dataclass(frozen=True, repr=False)
class KeyFigures(Fragment):
    """A few large numbers, each with its label and what it rests on."""

    figures: Sequence[tuple[str, object, str]]

    def html(self) -> str:
        """The figures side by side in one card."""
        cells = "".join(
            f"<div><dt>{rich(label)}</dt><dd><b>{rich(written(value))}</b>{_optional('span', 'sj-note', note)}</dd></div>"
            for label, value, note in self.figures
        )
        return f'<dl class="sj-card sj-figures">{cells}</dl>'

    def text(self) -> str:
        """One figure a line."""
        return columns_of_text([(label, written(value), note) for label, value, note in self.figures])


@dataclass(frozen=True, repr=False)
class Note(Fragment):
    """A paragraph; an empty line begins another."""

    content: str

    def html(self) -> str:
        """The paragraphs."""
        paragraphs = "".join(f"<p>{rich(part.strip())}</p>" for part in self.content.split("\n\n") if part.strip())
        return f'<div class="sj-prose">{paragraphs}</div>'

    def text(self) -> str:
        """The paragraphs as they were written."""
        return self.content


@dataclass(frozen=True, repr=False)
class Steps(Fragment):
    """What was done, in order: status, label, detail and how long it took."""

    steps: Sequence[tuple[Status, str, str, str]]

    def html(self) -> str:
        """A list in a card."""
        items = "".join(
            f'<li class="sj-{status}">{icon(status, word(status))}<b>{rich(label)}</b>'
            f"<span>{rich(detail)}</span><time>{rich(time)}</time></li>"
            for status, label, detail, time in self.steps
        )
        return f'<ol class="sj-card sj-steps">{items}</ol>'

    def text(self) -> str:
        """A line a step."""
        return columns_of_text([(f"{SYMBOLS[s]} {label}", detail, time) for s, label, detail, time in self.steps])


@dataclass(frozen=True, repr=False)
class Section(Fragment):
    """A heading with one line below it."""

    title: str
    lead: str = ""

    def html(self) -> str:
        """Heading and lead."""
        return f'<div class="sj-section"><h2>{rich(self.title)}</h2>{_optional("p", "sj-lead", self.lead)}</div>'

    def text(self) -> str:
        """Heading and lead, a line each."""
        return _lines(self.title, self.lead)


def section(title: str, lead: str = "") -> Section:
    """A heading whose words depend on what was found; fixed headings are markdown cells."""
    return Section(title, lead)


@dataclass(frozen=True, repr=False)
class Pill(Fragment):
    """A status in one word or a few."""

    status: Status
    content: str = ""

    def html(self) -> str:
        """Icon and text on the soft colour of the status."""
        return pill(self.status, self.content)

    def text(self) -> str:
        """Symbol and text."""
        return f"{SYMBOLS[self.status]} {self.content or word(self.status)}"


def status_pill(status: Status, text: str = "") -> Pill:
    """A status that stands alone."""
    return Pill(status, text)
