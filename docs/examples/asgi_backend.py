"""An application's backend in plain ASGI that reads the same tables; no framework, any server runs it.

uvicorn --app-dir docs/examples asgi_backend:application      (SUBJUNCTIVE_DATABASE_URL names the database)

GET /ready                          200 once the database answers and has this version's schema, else 503
GET /scenarios                      what learners can practise
GET /scenarios/{slug}/exercises     its questions, each with its verb
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from subjunctive_admin.db import Database, open_database
from subjunctive_admin.errors import CouldNotBegin, NotFound, SubjunctiveError
from subjunctive_admin.models import Exercise, Scenario
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
            status, body = 200, await self._answer(scope["method"], scope["path"].strip("/").split("/"))
        except NotFound as error:
            status, body = 404, {"error": error.message}
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
            await send({"type": f"{message['type']}.complete"})
        await self.database.dispose_async()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, method: str, path: list[str]) -> Any:
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
        raise NotFound("There is nothing at this address.")

    async def _exercises(self, slug: str) -> list[Message]:
        async with self.database.async_session() as session:
            scenario = await session.scalar(SCENARIOS.where(Scenario.slug == slug))
            if scenario is None:
                raise NotFound(f"There is no scenario {slug}.")
            found = await session.scalars(EXERCISES.where(Exercise.scenario_id == scenario.id))
            return [{"slug": e.slug, "prompt": e.prompt, "verb": e.verb.infinitive, "tense": e.tense} for e in found]


@cache
def backend() -> Backend:
    """The one of this process; settings are read when the server starts, not when this file is imported."""
    return Backend()


async def application(*given: Any) -> None:
    """What an ASGI server is pointed at."""
    await backend()(*given)
