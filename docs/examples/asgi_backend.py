"""An application's backend in plain ASGI on the same tables; no framework, any server runs it.

uvicorn --app-dir docs/examples asgi_backend:application      (SUBJUNCTIVE_DATABASE_URL names the database)

GET /ready                          200 once the database answers and has this version's schema, else 503
GET /scenarios                      what learners can practise
GET /scenarios/{slug}/exercises     its questions, each with its verb
GET  /learners/{id}/due             what to ask this learner next
POST /learners/{id}/sessions        begin a study session: {"id": …}
POST /learners/{id}/sessions/{id}/answers   {"id", "exercise_id", "text", "response_time_ms", "hints_used"?, "confidence"?}
POST /learners/{id}/sessions/{id}/close     the session's totals and the awards it unlocked

Signing in is the application's own affair: put it in front, and let it decide which learner's id a caller may use.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from subjunctive_admin.db import Database, open_database
from subjunctive_admin.errors import (
    Busy,
    Conflict,
    ConstraintRefused,
    CouldNotBegin,
    InvalidContent,
    NotFound,
    SubjunctiveError,
)
from subjunctive_admin.models import Exercise, Scenario
from subjunctive_admin.practice import (
    Answer,
    Recorded,
    close_session_async,
    due_items_async,
    open_session_async,
    record_attempt_async,
)
from subjunctive_admin.schema import require_current
from subjunctive_admin.vocabulary import ContentStatus

Message = dict[str, Any]
LOG = logging.getLogger("asgi_backend")

SCENARIOS = select(Scenario).where(Scenario.status == ContentStatus.PUBLISHED).order_by(Scenario.position)
# One statement, whatever the number of exercises: what is not asked for here cannot be read later.
EXERCISES = (
    select(Exercise).where(Exercise.status == ContentStatus.PUBLISHED)
    .order_by(Exercise.position).options(joinedload(Exercise.verb))
)  # fmt: skip


MAX_BODY = 10_000


class BadRequest(Exception):
    """A request that cannot be read."""


class Backend:
    """The ASGI application; the pool opens with the first request and closes with the server."""

    def __init__(self, database: Database | None = None) -> None:
        self.database = database or open_database(purpose="web")

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """One request, or the server's start and end."""
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        try:
            sent = await _body(receive)
            status, body = 200, await self._answer(scope["method"], scope["path"].strip("/").split("/"), sent)
        except NotFound as error:
            status, body = 404, {"error": error.message}
        except Busy as error:
            LOG.info("%s", error)
            status, body = 503, {"error": "Somebody else is at it.", "retry": True}
        except Conflict as error:
            # Somebody else's change, or a request that came too late: asking again as it is will not help.
            status, body = 409, {"error": error.message}
        except (InvalidContent, ConstraintRefused, BadRequest) as error:
            status, body = 400, {"error": str(error)}
        except CouldNotBegin as error:
            # The sentence is for people who run the server; a learner's program only needs to know it may retry.
            LOG.warning("%s", error)
            status, body = 503, {"error": "The database is not available.", "retry": True}
        except SubjunctiveError:
            LOG.exception("A request failed")
            status, body = 500, {"error": "The request could not be answered."}
        headers = [(b"content-type", b"application/json"), *([(b"retry-after", b"5")] if status == 503 else [])]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body, ensure_ascii=False).encode()})
        return None

    async def _live(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        while (message := await receive())["type"] != "lifespan.shutdown":
            # `subjunctive-admin pool` then shows what the pools of all workers are like, not only that they exist.
            self.database.publish_pool()
            await send({"type": f"{message['type']}.complete"})
        await self.database.dispose_async()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, method: str, path: list[str], sent: Message) -> Any:
        match method, path:
            case "GET", ["ready"]:
                async with self.database.async_session() as session:
                    await (await session.connection()).run_sync(require_current)
                return {"ready": True}
            case "GET", ["scenarios"]:
                async with self.database.async_session() as session:
                    found = await session.scalars(SCENARIOS)
                    return [{"slug": s.slug, "title": s.title, "level": s.cefr_level} for s in found]
            case "GET", ["scenarios", slug, "exercises"]:
                return await self._exercises(slug)
            case _, ["learners", learner, *rest]:
                return await self._practise(method, _id(learner), rest, sent)
        raise NotFound("There is nothing at this address.")

    async def _practise(self, method: str, learner: UUID, path: list[str], sent: Message) -> Any:
        async with self.database.async_session(write=method == "POST") as session:
            match method, path:
                case "GET", ["due"]:
                    return [
                        {"exercise_id": str(due.exercise_id), "prompt": due.prompt, "new": due.is_new}
                        for due in await due_items_async(session, learner)
                    ]
                case "POST", ["sessions"]:
                    wanted = _id(sent["id"]) if "id" in sent else None
                    return {"id": str(await open_session_async(session, learner, session_id=wanted))}
                case "POST", ["sessions", sitting, "answers"]:
                    return _told(await record_attempt_async(session, learner, _id(sitting), _answer(sent)))
                case "POST", ["sessions", sitting, "close"]:
                    closed = await close_session_async(session, learner, _id(sitting))
                    return {"right": closed.right, "answered": closed.answered, "unlocked": closed.unlocked}
        raise NotFound("There is nothing at this address.")

    async def _exercises(self, slug: str) -> list[Message]:
        async with self.database.async_session() as session:
            scenario = await session.scalar(SCENARIOS.where(Scenario.slug == slug))
            if scenario is None:
                raise NotFound(f"There is no scenario {slug}.")
            found = await session.scalars(EXERCISES.where(Exercise.scenario_id == scenario.id))
            return [{"slug": e.slug, "prompt": e.prompt, "verb": e.verb.infinitive, "tense": e.tense} for e in found]


async def _body(receive: Callable[[], Awaitable[Message]]) -> Message:
    """The request's JSON object; an empty body is an empty one."""
    received, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The client went away.")
        received += message.get("body", b"")
        more = message.get("more_body", False)
        if len(received) > MAX_BODY:
            raise BadRequest(f"The request is longer than {MAX_BODY:,} bytes.")
    try:
        sent = json.loads(received or b"{}")
    except (ValueError, RecursionError):
        raise BadRequest("The request is no JSON.") from None
    if not isinstance(sent, dict):
        raise BadRequest("The request is no JSON object.")
    return sent


def _answer(sent: Message) -> Answer:
    """The answer in a request. Its id comes from the client: a request that is sent again counts once."""
    wanted = {"text": str, "response_time_ms": int}
    for name, kind in wanted.items():
        if type(sent.get(name)) is not kind:
            raise BadRequest(f"{name} is missing or of the wrong type.")
    hints, confidence = sent.get("hints_used", 0), sent.get("confidence")
    if type(hints) is not int or type(confidence) not in (int, type(None)):
        raise BadRequest("hints_used and confidence are whole numbers.")
    return Answer(
        _id(sent.get("exercise_id")),
        sent["text"],
        sent["response_time_ms"],
        hints_used=hints,
        confidence=confidence,
        id=_id(sent["id"]) if "id" in sent else None,
    )


def _told(recorded: Recorded) -> Message:
    grade = recorded.grade
    return {
        "id": str(recorded.attempt_id),
        "verdict": grade.verdict,
        "error_kind": grade.error_kind,
        "correct": recorded.is_correct,
        "expected": recorded.expected,
        "next_review": recorded.next_review.isoformat() if recorded.next_review else None,
    }


def _id(text: Any) -> UUID:
    try:
        return UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise BadRequest(f"{str(text)[:60]!r} is no id.") from None


@cache
def backend() -> Backend:
    """The one of this process; settings are read when the server starts, not when this file is imported."""
    return Backend()


async def application(*given: Any) -> None:
    """What an ASGI server is pointed at."""
    await backend()(*given)
