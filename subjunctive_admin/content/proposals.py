"""Exercises proposed for a scenario: made from frames, unlike what there is, sound by every check; written as drafts.

Nothing here publishes. What is proposed depends on the seed, the filters and what is live, so that asking again
proposes the same and writes none of it twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from subjunctive_admin.content.checks import Library, Severity, check_exercise
from subjunctive_admin.content.conjugation import NotAVerb, conjugate
from subjunctive_admin.content.diagnosis import normalised
from subjunctive_admin.content.generation import Made, NothingToMake, Wanted, exercises
from subjunctive_admin.content.live import live_library
from subjunctive_admin.content.store import Done, Editing, drafts_of, load_all, validated
from subjunctive_admin.errors import InvalidContent, NotFound, UsageError
from subjunctive_admin.structures import ExerciseContent
from subjunctive_admin.vocabulary import (
    DifficultyLevel,
    ErrorKind,
    ExerciseType,
    ItemKind,
    OperationKind,
    Person,
    Tense,
    TriggerClass,
)

E = TypeVar("E", bound=StrEnum)

MOST = 500
"""Exercises that can be asked for at once."""
TAG = "generated"
"""The tag of an exercise that was made, so that it can be looked for."""
IN_LIBRARY = "already asked"
"""Why an exercise was left out whose prompt the library or a draft has."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One exercise; `kinds` says which error each of its distractors stands for, in their order."""

    content: ExerciseContent
    kinds: tuple[ErrorKind, ...]
    is_draft: bool
    """Whether there is a draft of it already."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        kinds = dict(zip(self.content.distractors, map(str, self.kinds), strict=True))
        return {**self.content.payload(), "distractor_kinds": kinds, "is_draft": self.is_draft}


@dataclass(frozen=True)
class Proposals:
    """What was made of `wanted` exercises; `left_out` is reason → how many were made and not proposed."""

    scenario: str
    wanted: int
    seed: int
    found: tuple[Proposal, ...]
    left_out: Mapping[str, int]
    written: int = 0

    @property
    def new(self) -> tuple[Proposal, ...]:
        """Those that there is no draft of."""
        return tuple(one for one in self.found if not one.is_draft)

    @property
    def fewer(self) -> int:
        """How many fewer there are than were wanted."""
        return self.wanted - len(self.found)

    @property
    def sentence(self) -> str:
        """What was made, and how many fewer than wanted."""
        made = f"{_exercises(len(self.found))} for {self.scenario}"
        return f"{made}, {self.fewer} fewer than the {self.wanted} wanted" if self.fewer else made

    @property
    def outcome(self) -> str:
        """What was written, in a sentence."""
        drafted = len(self.found) - len(self.new)
        have = f"{_exercises(drafted)} {'has' if drafted == 1 else 'have'} a draft already"
        if self.written:
            said = (
                f"{_exercises(self.written)} {'was' if self.written == 1 else 'were'} written as drafts; none is live"
            )
            return f"{said}; {have}." if drafted else f"{said}."
        if self.found and not self.new:
            return f"Nothing was written: {have}."
        return f"Nothing was written; {have}." if drafted else "Nothing was written."

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {
            "scenario": self.scenario, "seed": self.seed, "wanted": self.wanted, "fewer": self.fewer,
            "written": self.written, "left_out": dict(self.left_out),
            "exercises": [one.as_dict() for one in self.found],
        }  # fmt: skip


def _exercises(count: int) -> str:
    return f"{count} {'exercise' if count == 1 else 'exercises'}"


def read_wanted(
    *,
    verb: str = "",
    trigger: str = "",
    tense: str = "",
    person: str = "",
    exercise_type: str = "",
    difficulty: str = "",
) -> Wanted:
    """What is asked for in words, several separated by commas, nothing for whatever there is.

    Raises `UsageError` for a word that is no verb, trigger class, tense, person, type or difficulty.
    """
    return Wanted(
        types=_members(exercise_type, ExerciseType, "type of exercise"),
        tenses=_members(tense, Tense, "tense"),
        persons=_members(person, Person, "person"),
        triggers=_members(trigger, TriggerClass, "trigger class"),
        verbs=_verbs(verb),
        difficulties=_members(difficulty, DifficultyLevel, "difficulty"),
    )


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _members(text: str, known: type[E], name: str) -> list[E] | None:
    words = _split(text)
    if unknown := [word for word in words if word not in list(known)]:
        raise UsageError(f"{unknown[0]!r} is no {name}; there are {', '.join(known)}.")
    return [known(word) for word in words] or None


def _verbs(text: str) -> list[str] | None:
    try:
        return [conjugate(word).infinitive for word in _split(text)] or None
    except NotAVerb as error:
        raise UsageError(str(error), next_step="give infinitives such as hablar, ir, oír") from error


def propose(session: Session, scenario: str, count: int, seed: int, wanted: Wanted) -> Proposals:
    """At most `count` exercises for the scenario, of verbs that are live; nothing is written.

    Left out is whose prompt the library or a draft has, and what a check finds a fault in.
    Raises `NotFound` for a scenario that is not live; `UsageError` for a count outside 1 to 500, a verb that
    is not live, or when no frame makes what is wanted.
    """
    if not 1 <= count <= MOST:
        raise UsageError(f"{count} exercises cannot be made at once.", next_step=f"ask for 1 to {MOST}")
    library = live_library(session)
    if scenario not in library.scenarios:
        known = ", ".join(sorted(library.scenarios)) or "none: run subjunctive-admin seed"
        raise NotFound(f"There is no live scenario {scenario!r}.", next_step=f"name one of those there are: {known}")
    try:
        made = exercises(seed, _of_live_verbs(wanted, library))
    except NothingToMake as error:
        raise UsageError(str(error), next_step="ask for less at once") from error
    choosing = _Choosing(session, library, scenario)
    choosing.fill(made, count)
    return Proposals(scenario, count, seed, tuple(choosing.found), dict(choosing.left_out))


def _of_live_verbs(wanted: Wanted, library: Library) -> Wanted:
    if missing := [verb for verb in wanted.verbs or () if verb not in library.verbs]:
        raise UsageError(f"There is no live verb {missing[0]!r}.", next_step="add the verb, or name another")
    return replace(wanted, verbs=wanted.verbs or frozenset(library.verbs))


def write_drafts(session: Session, proposals: Proposals, *, actor: str) -> tuple[Proposals, Done | None]:
    """Write what has no draft yet as drafts, in one operation that undo takes back; None when there is nothing."""
    if not proposals.new:
        return proposals, None
    note = f"made for {proposals.scenario}, seed {proposals.seed}"
    editing = Editing(session, OperationKind.ADD, actor=actor, note=note)
    editing.draft_all([one.content for one in proposals.new])
    written = replace(proposals, written=len(proposals.new))
    return written, editing.done(written.outcome)


class _Choosing:
    """Takes from what is made what is new and sound, in its order."""

    def __init__(self, session: Session, library: Library, scenario: str) -> None:
        self._library, self._scenario = library, scenario
        self._drafts = drafts_of(session, ItemKind.EXERCISE)
        stored = [c for c in load_all(session, ItemKind.EXERCISE).values() if isinstance(c, ExerciseContent)]
        self._drafted = list(_readable(self._drafts.values()))
        self._asked = {_asked(one) for one in [*stored, *self._drafted]}
        self._keys = {one.slug for one in stored}
        positions = [one.position for one in [*stored, *self._drafted] if one.scenario == scenario]
        self._next = max(positions, default=0) + 1
        self.found: list[Proposal] = []
        self.left_out: Counter[str] = Counter()

    def fill(self, made: Iterator[Made], count: int) -> None:
        """Choose until there are `count`, or nothing more is made."""
        while len(self.found) < count:
            # The checks look at a whole library: a batch costs hardly more than one exercise.
            batch = list(islice(made, count - len(self.found)))
            if not batch:
                return
            self._choose([(one, self._content(one)) for one in batch])

    def _choose(self, batch: Sequence[tuple[Made, ExerciseContent]]) -> None:
        fresh = [(made, content) for made, content in batch if content.slug in self._drafts or self._is_fresh(content)]
        others = [one.content for one in self.found if not one.is_draft]
        new = [content for _, content in fresh if content.slug not in self._drafts]
        exercises = (*self._library.exercises, *self._drafted, *others, *new)
        library = Library(self._library.verbs, exercises, self._library.scenarios)
        for made, content in fresh:
            is_draft = content.slug in self._drafts
            # A draft was checked before it was written, and is its author's from then on.
            if is_draft or self._is_sound(content, library):
                placed = content.model_copy(update={"position": self._next})
                self._next += not is_draft
                self.found.append(Proposal(placed, made.kinds, is_draft))

    def _is_fresh(self, content: ExerciseContent) -> bool:
        fresh = _asked(content) not in self._asked and content.slug not in self._keys
        self.left_out.update([] if fresh else [IN_LIBRARY])
        return fresh

    def _is_sound(self, content: ExerciseContent, library: Library) -> bool:
        found = [one.check for one in check_exercise(content, library) if one.severity is not Severity.INFO]
        self.left_out.update(found[:1])
        return not found

    def _content(self, made: Made) -> ExerciseContent:
        return ExerciseContent(
            slug=_slug(self._scenario, made),
            scenario=self._scenario,
            verb=made.verb,
            exercise_type=made.exercise_type,
            tense=made.tense,
            person=made.person,
            trigger_class=made.trigger_class,
            trigger_phrase=made.trigger_phrase,
            difficulty_level=made.difficulty_level,
            prompt=made.prompt,
            accepted_answers=list(made.accepted_answers),
            distractors=list(made.distractors),
            explanation=made.explanation,
            tags=[TAG],
            position=self._next,
        )


def _readable(drafts: Any) -> Iterator[ExerciseContent]:
    """The drafts that are whole; half an exercise asks nothing yet."""
    for draft in drafts:
        try:
            content = validated(ItemKind.EXERCISE, draft.payload)
        except InvalidContent:
            continue
        if isinstance(content, ExerciseContent):
            yield content


def _asked(content: ExerciseContent) -> tuple[str, str]:
    return normalised(content.prompt), content.exercise_type


def _slug(scenario: str, made: Made) -> str:
    """The same for the same question in a scenario, so that it is known again."""
    digest = hashlib.sha256(f"{made.exercise_type}|{made.prompt}".encode()).hexdigest()[:10]
    return f"{scenario[:60].rstrip('-')}-made-{digest}"
