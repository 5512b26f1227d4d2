"""What SQL counts over random practice is what a plain loop over the same answers counts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from subjunctive_admin.analytics import learners
from subjunctive_admin.analytics.intervals import Tally
from subjunctive_admin.analytics.learners import Window
from subjunctive_admin.analytics.recall import Review, binned
from subjunctive_admin.vocabulary import ErrorKind, Person, Tense
from tests.analytics.practice import School

# The clocks of Madrid go forward on 29 March, those of New York on 8 March.
WINDOW = Window(date(2026, 3, 5), date(2026, 4, 2))
ZONES = ("Europe/Madrid", "America/New_York", "Asia/Tokyo", "Pacific/Auckland", "UTC")
TENSES = (Tense.PRESENT_SUBJUNCTIVE, Tense.IMPERFECT_SUBJUNCTIVE)
KINDS = (ErrorKind.MOOD, ErrorKind.ACCENT, ErrorKind.STEM)


@dataclass(frozen=True)
class Answered:
    """An answer as a plain loop reads it."""

    user: Any
    item: Any
    tense: Tense
    person: Person
    at: datetime
    on: date
    right: bool
    kind: ErrorKind | None
    written: str

    @property
    def inside(self) -> bool:
        return WINDOW.first <= self.on <= WINDOW.last


@pytest.fixture(params=[1, 2, 3])
def answers(request: pytest.FixtureRequest, session: Session) -> list[Answered]:
    """Some hundred answers of seven learners, before, inside and after the window."""
    random_ = random.Random(request.param)
    school = School(session)
    for number in range(7):
        learner = school.learner(f"pupil{number}", timezone=ZONES[number % len(ZONES)])
        for _ in range(random_.randrange(5, 40)):
            school.answer(
                learner, random_.uniform(-5, 35), right=random_.random() < 0.6,
                tense=random_.choice(TENSES), person=random_.choice((Person.YO, Person.TU)),
                kind=random_.choice(KINDS), wrote=random_.choice(("uno", "dos", " DOS ")),
            )  # fmt: skip
    rows = session.connection().execute(
        text("""
            SELECT user_id, practice_item_id, tense, person, attempted_at, practised_on, is_correct, error_kind,
                   lower(btrim(user_answer))
            FROM practice_attempts ORDER BY attempted_at, id""")
    )
    return [
        Answered(user, item, Tense(tense), Person(person), at, on, right, ErrorKind(kind) if kind else None, written)
        for user, item, tense, person, at, on, right, kind, written in rows
    ]


@pytest.fixture
def connection(session: Session) -> Connection:
    return session.connection()


def tally(rows: Iterable[Answered]) -> Tally:
    counts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        counts[row.user][0] += row.right
        counts[row.user][1] += 1
    return Tally.of((hits, n) for hits, n in counts.values())


def grouped(rows: Iterable[Answered], key: Any) -> dict[Any, list[Answered]]:
    groups: dict[Any, list[Answered]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)


def tallies(rows: Iterable[Answered], key: Any) -> dict[Any, Tally]:
    return {name: tally(group) for name, group in grouped(rows, key).items()}


def test_activity_by_day(answers: list[Answered], connection: Connection) -> None:
    inside = [one for one in answers if one.inside]
    found = learners.read_activity(connection, WINDOW)
    assert found.total == tally(inside)
    assert dict(found.days) == tallies(inside, lambda one: one.on)
    assert [day for day, _ in found.days] == sorted(day for day, _ in found.days)


def test_accuracy_of_the_first_answers_of_a_day(answers: list[Answered], connection: Connection) -> None:
    inside = [one for one in answers if one.inside]
    first = [group[0] for group in grouped(inside, lambda one: (one.item, one.on)).values()]
    assert len(first) < len(inside)
    found = learners.read_accuracy(connection, WINDOW)
    assert found.total == tally(first)
    assert found.cells == tallies(first, lambda one: (one.tense, one.person))
    assert found.tenses == tallies(first, lambda one: one.tense)
    assert found.persons == tallies(first, lambda one: one.person)


def reviews_of(answers: list[Answered]) -> list[tuple[Answered, Review]]:
    """Answers inside the window that came a day or more after the last one to the item, whenever that was."""
    last: dict[Any, datetime] = {}
    found = []
    for one in answers:
        if one.item in last and one.inside:
            days = (one.at - last[one.item]) / timedelta(days=1)
            if days >= 1:
                found.append((one, Review(days, one.right, None)))
        last[one.item] = one.at
    return found


def test_recall_by_tense_and_days(answers: list[Answered], connection: Connection) -> None:
    reviews = reviews_of(answers)
    found = learners.read_recall(connection, WINDOW)
    assert found.total == tally(one for one, _ in reviews)
    for tense in TENSES:
        expected = binned(review for one, review in reviews if one.tense is tense)
        bins = found.by_tense[tense]
        assert [(b.start, b.tally.n, b.tally.hits) for b in bins] == [
            (b.start, b.tally.n, b.tally.hits) for b in expected
        ]
        assert [b.elapsed_days for b in bins] == pytest.approx([b.elapsed_days for b in expected])


def test_each_learners_own_days_and_reviews(answers: list[Answered], connection: Connection) -> None:
    listed = learners.active_learners(connection, WINDOW)
    inside = grouped([one for one in answers if one.inside], lambda one: one.user)
    assert {one.id: one.answers for one in listed} == {user: len(rows) for user, rows in inside.items()}
    for learner in listed:
        found = learners.read_learner(connection, WINDOW, learner)
        assert {day: (n, hits) for day, n, hits in found.days} == {
            day: (len(rows), sum(row.right for row in rows))
            for day, rows in grouped(inside[learner.id], lambda one: one.on).items()
        }
        expected = [review for one, review in reviews_of(answers) if one.user == learner.id]
        assert [one.elapsed_days for one in found.reviews] == pytest.approx([one.elapsed_days for one in expected])
        assert [one.is_correct for one in found.reviews] == [one.is_correct for one in expected]


def test_errors_by_kind(answers: list[Answered], connection: Connection) -> None:
    slips = [one for one in answers if one.inside and one.kind is not None]
    found = {line.kind: line for line in learners.read_errors(connection, WINDOW)}
    by_learner = grouped(slips, lambda one: one.user)
    for kind, rows in grouped(slips, lambda one: one.kind).items():
        share = Tally.of((sum(one.kind is kind for one in mine), len(mine)) for mine in by_learner.values())
        assert found[kind].share == share
        assert found[kind].learners == len({one.user for one in rows})
        written = grouped(rows, lambda one: (one.written, one.tense, one.person))
        most = max(len({one.user for one in same}) for same in written.values())
        same = max((rows for rows in written.values() if len({r.user for r in rows}) == most), key=len)
        assert found[kind].written_n == len(same)
    assert set(found) == {one.kind for one in slips}
