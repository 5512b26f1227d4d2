"""A small school with known answers: rows that the tests of the analytics count by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from subjunctive_admin.models import Exercise, PracticeItem, StudySession, User
from subjunctive_admin.practice import local_day
from subjunctive_admin.vocabulary import ErrorKind, Person, PracticeCategory, Tense, Verdict
from tests.builders import make_attempt, make_exercise, make_item, make_session, make_user

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""Noon of 2 March 2026 in UTC."""


class School:
    """Learners who answer; each answer needs its learner, its moment, and whether it was right."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._exercises: dict[tuple[Tense, Person | None], Exercise] = {}
        self._items: dict[tuple[Any, Any, Any], PracticeItem] = {}
        self._sittings: dict[tuple[Any, Any], StudySession] = {}

    def learner(self, username: str, **given: Any) -> User:
        return make_user(self.session, **{"username": username, "email": f"{username}@example.org", **given})

    def exercise(self, tense: Tense = Tense.PRESENT_SUBJUNCTIVE, person: Person | None = Person.YO) -> Exercise:
        if (tense, person) not in self._exercises:
            self._exercises[tense, person] = make_exercise(self.session, tense=tense, person=person)
        return self._exercises[tense, person]

    def item(self, user: User, exercise: Exercise) -> PracticeItem:
        key = (user.id, exercise.tense, exercise.person)
        if key not in self._items:
            self._items[key] = make_item(
                self.session, user_id=user.id, verb_id=exercise.verb_id, tense=exercise.tense,
                person=exercise.person, category=PracticeCategory.NONE,
            )  # fmt: skip
        return self._items[key]

    def answer(
        self,
        user: User,
        day: float = 0,
        *,
        right: bool = True,
        tense: Tense = Tense.PRESENT_SUBJUNCTIVE,
        person: Person | None = Person.YO,
        kind: ErrorKind = ErrorKind.MOOD,
        wrote: str = "habla",
        **given: Any,
    ) -> None:
        """One answer so many days after Monday noon; a session for each day."""
        at = MONDAY + timedelta(days=day)
        on = local_day(at, user.timezone)
        if (user.id, on) not in self._sittings:
            self._sittings[user.id, on] = make_session(self.session, user_id=user.id, started_at=at, started_on=on)
        exercise = self.exercise(tense, person)
        wrong = {"is_correct": False, "verdict": Verdict.WRONG, "error_kind": kind, "user_answer": wrote}
        make_attempt(
            self.session,
            **{
                "user_id": user.id,
                "session_id": self._sittings[user.id, on].id,
                "exercise_id": exercise.id,
                "practice_item_id": self.item(user, exercise).id if person is not None else None,
                "attempted_at": at,
                "practised_on": on,
                **({} if right else wrong),
                **given,
            },
        )
