"""The editors' workbench for verbs: find, add, edit, retire, look back, take back.

Every callback runs inside one boundary that turns an exception into a sentence in the widget;
ipywidgets would swallow it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as W  # noqa: N812 - as its documentation does
from ipywidgets.widgets.widget_string import TextStyle

from subjunctive_admin.content import store
from subjunctive_admin.content.store import HistoryLine, Loaded, VerbLine
from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, NotFound, SubjunctiveError, UsageError, WriteRefused
from subjunctive_admin.look import stylesheet
from subjunctive_admin.look.markup import mark, moment
from subjunctive_admin.structures import VerbContent
from subjunctive_admin.vocabulary import (
    PERSON_NAMES,
    SUBJUNCTIVE_TENSES,
    ContentStatus,
    DifficultyLevel,
    ItemKind,
    Person,
    Status,
    StemChangePattern,
    Tense,
    VerbType,
)
from subjunctive_admin.widgets import entry as forms
from subjunctive_admin.widgets.entry import LABELS, Cell, Fault, VerbEntry
from subjunctive_admin.widgets.places import ControlBox

_LOG = logging.getLogger(__name__)
_SHOWN_ROWS = 8
_TENSES_ABREAST = 3
_HOW_TO_WRITE = "This notebook only reads: set <code>apply = True</code> in the cell of parameters and run it again."
_SECTIONS = ("Subjunctive", "Other tenses", "Details", "History")


def verb_workbench(
    database: Database, actor: str = "", *, apply: bool = False, query: str = "", infinitive: str = ""
) -> W.VBox:
    """The workbench as one widget; with `apply` False it shows everything and writes nothing.

    `actor` is the name in the history; without one, the account this kernel runs under.
    """
    bench = _Workbench(database, actor or store.account_name(), apply=apply)
    bench.begin(query, infinitive)
    return bench.box


def _styled(widget: Any, *names: str) -> Any:
    for name in names:
        widget.add_class(f"sj-{name}")
    return widget


def _button(text: str, *names: str, tooltip: str = "") -> Any:
    return _styled(W.Button(description=text, tooltip=tooltip or text, layout=W.Layout(width="auto")), "button", *names)


def _html(*names: str, text: str = "") -> Any:
    return _styled(W.HTML(text), *names)


def _show(widget: Any, visible: bool) -> None:
    widget.layout.display = None if visible else "none"


class _VerbForm:
    """The fields and the grid of one verb; it knows text, not the database."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._filling = False
        self._fields = {name: self._watched(widget) for name, widget in _field_widgets().items()}
        self._cells: dict[Cell, Any] = {}
        # One widget can stand in many places, which keeps a grid of a hundred cells quick.
        self._gap, self._persons = _html(), {p: _html("person", text=escape(PERSON_NAMES[p])) for p in Person}
        self._cell_look = {"layout": W.Layout(width="auto"), "style": TextStyle()}
        self._shown: tuple[Tense, ...] = ()
        top = W.HBox([self._fields["infinitive"], self._fields["english_translation"]])
        self.top = _styled(top, "fields")
        self.grids = {"Subjunctive": W.VBox(), "Other tenses": W.VBox()}
        self.details = W.VBox(self._detail_rows())

    def _detail_rows(self) -> list[Any]:
        left = [name for name in self._fields if name not in ("infinitive", "english_translation", *_LONG_FIELDS)]
        small = W.GridBox([self._fields[name] for name in left])
        return [_styled(small, "details"), *(self._fields[name] for name in _LONG_FIELDS)]

    def _watched(self, widget: Any) -> Any:
        widget.observe(self._changed, names="value")
        return widget

    def _changed(self, _change: object) -> None:
        if not self._filling:
            self._on_change()

    def fill(self, entry: VerbEntry, content: VerbContent | None, *, new: bool) -> None:
        """Put an entry into the form; only a new verb has its infinitive typed."""
        self._filling = True
        try:
            for name, value in entry.fields.items():
                self._fields[name].value = value
            _show(self._fields["infinitive"], new)
            self._lay_out(forms.shown_tenses(content))
            for cell, widget in self._cells.items():
                widget.value = entry.cells.get(cell, "")
                self._explain(widget, cell, content)
        finally:
            self._filling = False

    def _lay_out(self, tenses: tuple[Tense, ...]) -> None:
        for cell in ((tense, person) for tense in tenses for person in Person if (tense, person) not in self._cells):
            widget = W.Text(continuous_update=False, **self._cell_look)
            self._cells[cell] = self._watched(_styled(widget, "cell"))
        if tenses != self._shown:
            self._shown = tenses
            others = [tense for tense in tenses if tense not in SUBJUNCTIVE_TENSES]
            self.grids["Subjunctive"].children = self._blocks(SUBJUNCTIVE_TENSES)
            nothing = _html("nothing", text="Only the subjunctive is recorded for this verb.")
            self.grids["Other tenses"].children = self._blocks(others) or [nothing]

    def _blocks(self, tenses: Iterable[Tense]) -> list[Any]:
        listed = list(tenses)
        return [self._block(listed[at : at + _TENSES_ABREAST]) for at in range(0, len(listed), _TENSES_ABREAST)]

    def _block(self, tenses: list[Tense]) -> Any:
        padding = [self._gap] * (_TENSES_ABREAST - len(tenses))
        # Of the subjunctive, the middle column of both blocks has two forms in each cell: -ra and -se.
        subjunctive = set(tenses) <= set(SUBJUNCTIVE_TENSES)
        label = (lambda tense: forms.mood_and_tense(tense)[1]) if subjunctive else forms.tense_label
        children = [self._gap, *(_html("tense", text=label(tense)) for tense in tenses), *padding]
        for person in Person:
            children += [self._persons[person], *(self._cells[tense, person] for tense in tenses), *padding]
        wide = ("two-forms",) if subjunctive else ()
        return _styled(W.GridBox(children), "grid", *wide)

    def _explain(self, widget: Any, cell: Cell, content: VerbContent | None) -> None:
        tense, person = cell
        override = content.conjugation_overrides.get(tense, {}).get(person) if content else None
        note = f": differs from the rule, {override.note}" if override else ""
        widget.tooltip = forms.cell_label(tense, person) + note
        (widget.add_class if override else widget.remove_class)("sj-override")

    def entry(self) -> VerbEntry:
        """What stands in the form now; tenses of another verb that are hidden do not count."""
        cells = {cell: widget.value for cell, widget in self._cells.items() if cell[0] in self._shown}
        return VerbEntry({name: widget.value for name, widget in self._fields.items()}, cells)

    def point_at(self, faults: Iterable[Fault]) -> None:
        """Frame the fields and cells that a fault names."""
        listed = list(faults)
        wrong, names = forms.faulty_cells(listed), {fault.path.split(".")[0] for fault in listed}
        for cell, widget in self._cells.items():
            (widget.add_class if cell in wrong else widget.remove_class)("sj-invalid")
        for name, widget in self._fields.items():
            (widget.add_class if name in names else widget.remove_class)("sj-invalid")


_LONG_FIELDS = ("example_sentences", "usage_notes", "cultural_notes", "features", "semantic_tags")


def _field_widgets() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in forms.BLANK_ENTRY.fields:
        common = {"description": LABELS[name], "layout": W.Layout(width="auto")}
        if name in _CHOICES:
            made[name] = _styled(W.Dropdown(options=_CHOICES[name], **common), "field")
        elif name == "is_defective":
            text = "Defective: some forms do not exist"
            made[name] = _styled(W.Checkbox(description=text, indent=False, layout=common["layout"]), "check")
        elif name in _LONG_FIELDS:
            made[name] = _styled(W.Textarea(continuous_update=False, rows=3, **common), "field")
        else:
            made[name] = _styled(W.Text(continuous_update=False, **common), "field")
    made["example_sentences"].description = f"{LABELS['example_sentences']}, one a line: Spanish | English"
    for name in ("features", "semantic_tags"):
        made[name].description = f"{LABELS[name]}, one a line"
    return made


_CHOICES: dict[str, list[tuple[str, Any]]] = {
    "verb_type": [(kind.replace("_", " "), kind.value) for kind in VerbType],
    "stem_change_pattern": [("none", ""), *((p.replace("_", " → "), p.value) for p in StemChangePattern)],
    "difficulty_level": [(level.value, level.value) for level in DifficultyLevel],
    "frequency_band": [(str(band), band) for band in range(1, 6)],
}


class _Results:
    """The rows of a search: made once and filled again, so that typing stays quick."""

    def __init__(self, open_verb: Callable[[str], None]) -> None:
        self._keys = [""] * _SHOWN_ROWS
        self._names = [_styled(_button(""), "link") for _ in range(_SHOWN_ROWS)]
        self._facts = [_html("facts") for _ in range(_SHOWN_ROWS)]
        rows = zip(self._names, self._facts, strict=True)
        self._rows = [_styled(W.HBox([name, facts]), "row") for name, facts in rows]
        for at, name in enumerate(self._names):
            name.on_click(lambda _button, at=at: open_verb(self._keys[at]))
        self._note = _html("note-line")
        heads = "".join(f"<span>{head}</span>" for head in ("Translation", "Type", "Level", "Rank", "Status"))
        self._head = _styled(W.HBox([_html("name", text="Infinitive"), _html("facts", text=heads)]), "row", "head")
        self.box = _styled(W.VBox([self._head, *self._rows, self._note]), "results")

    def fill(self, lines: list[VerbLine], query: str) -> None:
        """Show the first lines and say how many there are."""
        _show(self._head, bool(lines))
        for at in range(_SHOWN_ROWS):
            _show(self._rows[at], at < len(lines))
            if at < len(lines):
                self._keys[at] = self._names[at].description = lines[at].infinitive
                self._names[at].tooltip = f"Open {lines[at].infinitive}"
                self._facts[at].value = _facts(lines[at])
        rest = len(lines) - _SHOWN_ROWS
        if not lines:
            self._note.value = f"No verb holds “{escape(query)}”." if query else "There are no verbs yet."
        else:
            self._note.value = f"and {rest}{' or more' if len(lines) == 50 else ''} others; type more letters" * (
                rest > 0
            )


def _facts(line: VerbLine) -> str:
    rank = "–" if line.frequency_rank is None else str(line.frequency_rank)
    facts = (line.english_translation, line.verb_type.replace("_", " "), line.difficulty_level, rank, line.status)
    return "".join(f"<span>{escape(fact)}</span>" for fact in facts)


class _Workbench:
    """Which verb is open, at which revision, and what the buttons do with it."""

    def __init__(self, database: Database, actor: str, *, apply: bool) -> None:
        self._database, self._actor, self._apply = database, actor, apply
        self._loaded: Loaded[VerbContent] | None = None
        self._adding = False
        self._form = _VerbForm(self._bounded(self._look_at_entry))
        self._results = _Results(lambda key: self._bounded(lambda: self._open(key))())
        self._make_controls()
        self.box = self._lay_out()

    def _make_controls(self) -> None:
        self._query = W.Text(description="Find a verb", placeholder="letters of the verb or of its translation")
        _styled(self._query, "field", "find").observe(self._bounded(self._search), names="value")
        self._why = _styled(W.Text(description="Why, for the history"), "field", "why")
        self._find = self._on(_button("Find"), self._search)
        self._new = self._on(_button("New verb"), self._begin_new)
        self._undo = self._on(
            _button("Undo last change", "link", tooltip="Take back the newest change"), self._undo_last
        )
        self._retire = self._on(_button("Retire"), self._change_status)
        self._discard = self._on(_button("Discard"), self._reload)
        self._merge = self._on(_button("Load again, keep my changes"), self._load_and_keep)
        self._publish = self._on(_button("Publish", "primary"), self._publish_entry)
        for writing in (self._new, self._undo, self._retire, self._merge, self._publish):
            writing.disabled = not self._apply
        self._heading, self._faults = _html("heading"), _html("faults")
        self._status, self._history = _html("status"), _html("history")
        self._sections = _styled(W.ToggleButtons(options=_SECTIONS), "sections")
        self._sections.observe(self._bounded(self._show_section), names="value")

    def _lay_out(self) -> Any:
        style = Path(__file__).with_name("verbs.css").read_text(encoding="utf-8")
        head = _html(text=f"<style>{stylesheet()}{style}</style>")
        notice = _html("notice", text="" if self._apply else _HOW_TO_WRITE)
        _show(notice, not self._apply)
        search = W.HBox([self._query, self._find, self._new])
        finder = _styled(W.VBox([_styled(search, "search"), self._results.box]), "panel")
        self._bodies = dict(
            zip(_SECTIONS, (*self._form.grids.values(), self._form.details, self._history), strict=True)
        )
        parts = [self._heading, self._form.top, self._sections, *self._bodies.values(), self._faults]
        self._editor = _styled(W.VBox([_styled(part, "part") for part in parts]), "panel", "editor")
        left = _styled(W.HBox([self._undo, self._retire]), "buttons")
        right = _styled(W.HBox([self._merge, self._discard, self._publish]), "buttons")
        self._bar = _styled(W.HBox([left, self._why, right]), "bar")
        self._merge.layout.display = "none"
        parts = [head, notice, finder, self._editor, self._status, self._bar]
        return _styled(ControlBox("The workbench for verbs", parts), "workbench").add_class("sj")

    def _on(self, button: Any, act: Callable[[], None]) -> Any:
        button.on_click(self._bounded(act))
        return button

    def _bounded(self, act: Callable[[], None]) -> Callable[..., None]:
        """The one boundary: whatever a callback raises becomes a sentence in the widget."""

        def run(*_event: object) -> None:
            try:
                act()
            except SubjunctiveError as error:
                _show(self._merge, isinstance(error, Conflict) and self._has_changes())
                self._say(Status.CRITICAL, str(error))
            except Exception as error:  # noqa: BLE001 - a callback's exception has no other way out
                _LOG.exception("A callback of the workbench failed")
                self._say(Status.CRITICAL, f"Unexpected {type(error).__name__}: {error}")

        return run

    def _say(self, status: Status, sentence: str) -> None:
        first, *more = sentence.splitlines() or [""]
        rest = "".join(f"<li>{escape(line.strip())}</li>" for line in more)
        said = f'<div role="status" aria-live="polite">{mark(status)} <span>{escape(first)}</span><ul>{rest}</ul></div>'
        self._status.value = said

    def begin(self, query: str, infinitive: str) -> None:
        """The first view: a search, and a verb when there is one of that name."""
        self._close()
        self._query.value = query
        self._bounded(self._search)()
        if infinitive:
            self._bounded(lambda: self._open(infinitive))()

    def _search(self) -> None:
        query = self._query.value.strip()
        with self._database.session() as session:
            self._results.fill(store.verb_lines(session, query), query)

    def _open(self, infinitive: str) -> None:
        self._refuse_to_leave()
        self._load(infinitive)
        self._say_saved()

    def _load(self, infinitive: str, entry: VerbEntry | None = None) -> None:
        with self._database.session() as session:
            self._loaded = store.load_verb(session, infinitive)
            lines = store.history(session, ItemKind.VERB, infinitive)
        self._adding = False
        self._fill(entry or forms.entry_of(self._loaded.content), self._loaded.content)
        self._history.value = _history_html(lines)

    def _begin_new(self) -> None:
        self._refuse_to_leave()
        self._loaded, self._adding = None, True
        self._fill(forms.BLANK_ENTRY, None)
        self._history.value = '<p class="sj-note-line">A new verb has no history.</p>'
        self._say(Status.INFO, "Fill in the verb and every form of the subjunctive, then publish it.")

    def _fill(self, entry: VerbEntry, content: VerbContent | None) -> None:
        self._form.fill(entry, content, new=self._adding)
        self._show_faults([])
        self._why.value = ""
        self._heading.value = _heading_html(self._loaded)
        self._show_section()
        self._offer()

    def _close(self) -> None:
        self._loaded, self._adding = None, False
        self._offer()

    def _offer(self) -> None:
        """Show exactly the buttons that mean something now."""
        _show(self._editor, self._loaded is not None or self._adding)
        _show(self._retire, self._loaded is not None)
        for part in (self._why, self._discard, self._publish):
            _show(part, self._loaded is not None or self._adding)
        _show(self._merge, False)
        if self._loaded:
            key, live = self._loaded.content.key, self._loaded.content.status is ContentStatus.PUBLISHED
            self._retire.description = f"Retire {key}" if live else f"Bring {key} back"
            self._retire.tooltip = (
                "Learners no longer get it; its answers are kept" if live else "Learners get it again"
            )

    def _show_section(self) -> None:
        for name, body in self._bodies.items():
            _show(body, name == self._sections.value)

    def _changed_labels(self) -> list[str]:
        if self._loaded is None and not self._adding:
            return []
        return forms.change_labels(self._loaded.content if self._loaded else None, self._form.entry())

    def _has_changes(self) -> bool:
        return bool(self._changed_labels())

    def _refuse_to_leave(self) -> None:
        if labels := self._changed_labels():
            name = self._loaded.content.key if self._loaded else "The new verb"
            raise UsageError(f"{name} has {_counted(labels)} not published yet.", next_step="publish or discard")

    def _look_at_entry(self) -> None:
        """After each edit: what is wrong with it, and what is not published yet."""
        content = self._loaded.content if self._loaded else None
        entry = self._form.entry()
        faults = forms.find_faults(forms.payload_of(entry, content))
        if self._adding:
            # An empty form is not wrong yet: what is missing is said when it is published.
            faults = [fault for fault in faults if not fault.sentence.endswith(("is empty.", "no form for anybody."))]
        self._show_faults(faults)
        if labels := forms.change_labels(content, entry):
            shown = "; ".join(labels[:4]) + (f"; and {len(labels) - 4} more" if len(labels) > 4 else "")
            self._say(Status.INFO, f"{_counted(labels)} not published yet: {shown}.")
        else:
            self._say_saved()

    def _show_faults(self, faults: list[Fault]) -> None:
        self._form.point_at(faults)
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in forms.sentences_of(faults))
        head = mark(Status.CRITICAL, "To correct before publishing")
        self._faults.value = f"{head}<ul>{items}</ul>" if items else ""
        _show(self._faults, bool(items))

    def _say_saved(self) -> None:
        number = f" Revision {self._loaded.revision} is live." if self._loaded else ""
        self._say(Status.OK, f"All changes saved.{number}")

    @contextmanager
    def _writing(self) -> Any:
        if not self._apply:
            raise WriteRefused("This notebook only reads.", next_step="set apply = True and run it again")
        with self._database.session(write=True) as session:
            yield session

    def _publish_entry(self) -> None:
        content = self._loaded.content if self._loaded else None
        entry = self._form.entry()
        payload = forms.payload_of(entry, content)
        faults = forms.find_faults(payload)
        self._show_faults(faults)
        if faults:
            raise UsageError("Nothing was published.", next_step="correct what is listed above")
        with self._writing() as session:
            done = self._store(session, payload, entry)
        self._adding = False
        self._after(done, payload["infinitive"])

    def _store(self, session: Any, payload: Mapping[str, Any], entry: VerbEntry) -> store.Done:
        note = self._why.value.strip()
        if self._loaded is None:
            return store.add(session, store.validated(ItemKind.VERB, payload), actor=self._actor, note=note)
        return store.edit(
            session,
            ItemKind.VERB,
            self._loaded.content.key,
            forms.changes_of(self._loaded.content, entry),
            revision=self._loaded.revision,
            actor=self._actor,
            note=note,
        )

    def _change_status(self) -> None:
        self._refuse_to_leave()
        assert self._loaded is not None
        verb = self._loaded.content
        retiring = verb.status is ContentStatus.PUBLISHED
        wanted = ContentStatus.RETIRED if retiring else ContentStatus.PUBLISHED
        with self._writing() as session:
            done = store.set_status(
                session, ItemKind.VERB, verb.key, wanted, actor=self._actor, note=self._why.value.strip()
            )
        self._after(done, verb.key)

    def _undo_last(self) -> None:
        self._refuse_to_leave()
        with self._writing() as session:
            done = store.undo_last(session, actor=self._actor)
        self._after(done, self._loaded.content.key if self._loaded else "")

    def _after(self, done: store.Done, infinitive: str) -> None:
        self._search()
        try:
            if infinitive:
                self._load(infinitive)
        except NotFound:  # the undo of an addition took the open verb away
            self._close()
        self._say(Status.OK, f"All changes saved. {done.sentence}")

    def _reload(self) -> None:
        if self._loaded is None:
            self._close()
            self._say(Status.INFO, "The new verb was discarded.")
        else:
            self._load(self._loaded.content.key)
            self._say_saved()

    def _load_and_keep(self) -> None:
        assert self._loaded is not None
        base, entry, note = self._loaded.content, self._form.entry(), self._why.value
        with self._database.session() as session:
            live = store.load_verb(session, base.key)
        mine, clashes = forms.rebased(base, entry, live.content)
        self._load(base.key, mine)
        self._why.value = note
        self._look_at_entry()
        if clashes:
            also = "; ".join(clashes)
            self._say(Status.WARNING, f"Yours is kept; somebody else changed it too: {also}. History shows theirs.")


def _counted(labels: list[str]) -> str:
    return f"{len(labels)} {'change' if len(labels) == 1 else 'changes'}"


def _heading_html(loaded: Loaded[VerbContent] | None) -> str:
    if loaded is None:
        return "<h2>New verb</h2>"
    verb = loaded.content
    tags = [f"-{verb.conjugation_class}", verb.verb_type.replace("_", " "), verb.difficulty_level.value]
    if verb.frequency_rank is not None:
        tags.append(f"frequency rank {verb.frequency_rank}")
    tags.append(f"{verb.status}, revision {loaded.revision}")
    chips = "".join(f'<span class="sj-chip">{escape(tag)}</span>' for tag in tags)
    return f'<h2 lang="es">{escape(verb.infinitive)}</h2><div class="sj-chips">{chips}</div>'


def _history_html(lines: list[HistoryLine]) -> str:
    return f"<ol>{''.join(_step_html(*step) for step in forms.history_steps(lines))}</ol>"


def _step_html(line: HistoryLine, changes: list[forms.Difference]) -> str:
    rows = "".join(
        f"<dt>{escape(change.label)}</dt><dd>{_diff('del', change.before)} {_diff('ins', change.after)}</dd>"
        for change in changes
    )
    note = f"<p>“{escape(line.note)}”</p>" if line.note else ""
    who = f"{escape(line.actor)}, {moment(line.performed_at)}"
    return f"<li><b>Revision {line.revision}</b> · {forms.deed(line)}<p>{who}</p>{note}<dl>{rows}</dl></li>"


def _diff(tag: str, text: str) -> str:
    return f"<{tag}>{escape(text)}</{tag}>" if text else ""
