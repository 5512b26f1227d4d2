"""Who the synthetic learners are and what they answer: pure, and the same for a seed whatever runs it.

Every learner, and every exercise, has a random stream of its own, named by the seed and the learner's number
or the exercise's slug, so that a learner is the same in a population of 3 or of 30,000.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from heapq import heappop, heappush
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

from subjunctive_admin.scheduling import Memory, Rating, algorithm, power_forgetting, rate
from subjunctive_admin.synthetic import binary
from subjunctive_admin.vocabulary import SUBJUNCTIVE_TENSES, ErrorKind, Tense

PREFIX, DOMAIN = "sim_", "example.invalid"
_ZONES = (
    ("Europe/Madrid", 24), ("America/Mexico_City", 14), ("America/New_York", 14), ("Europe/Berlin", 10),
    ("America/Argentina/Buenos_Aires", 9), ("Europe/London", 8), ("America/Los_Angeles", 7), ("America/Bogota", 6),
    ("Asia/Tokyo", 4), ("Australia/Sydney", 3), ("UTC", 1),
)  # fmt: skip
_KIND_WEIGHTS = {
    ErrorKind.MOOD: 4.0, ErrorKind.TENSE: 2.2, ErrorKind.PERSON: 1.6, ErrorKind.STEM: 1.2, ErrorKind.IRREGULAR: 1.2,
    ErrorKind.ACCENT: 1.0, ErrorKind.SPELLING: 0.9, ErrorKind.TYPO: 0.8, ErrorKind.ENDING: 0.5, ErrorKind.UNKNOWN: 0.4,
}  # fmt: skip
_TENSE_DIFFICULTY = {
    Tense.PRESENT_SUBJUNCTIVE: -0.6,
    Tense.PRESENT_PERFECT_SUBJUNCTIVE: 0.0,
    Tense.IMPERFECT_SUBJUNCTIVE: 0.5,
    Tense.PLUPERFECT_SUBJUNCTIVE: 0.8,
}
_FLAWED = 0.05
_RECALL_FLOOR = 0.4
"""What is left of a known form when its memory is gone: it can still be worked out from the rules."""
_LONGEST_MS = 30_000
COUNTING = frozenset({"total_attempts", "correct_attempts", "accuracy", "tenses_practised", "fast_correct"})
"""The metrics of achievements that are counted answer by answer."""
_SECONDS_AN_ANSWER = 45
"""More than the longest answer and the pause after it: what planning allows, so that sittings never overlap."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate; the same plan gives the same rows on every machine."""

    learners: int
    attempts: int
    seed: int
    until: datetime
    days: int = 270

    @property
    def words(self) -> str:
        """The plan in a line, as each synthetic learner carries it."""
        return (
            f"synthetic: seed {self.seed}, {self.learners} learners, {self.attempts} attempts,"
            f" {self.days} days until {self.until.isoformat()}"
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """One thing a learner might write, whether it is right, and the fields of it and its exercise."""

    is_correct: bool
    is_exact: bool
    fields: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A published exercise, its right and wrong replies, and the criteria its answers count for (by position)."""

    id: str
    slug: str
    scenario: str
    verb_id: int
    tense: Tense
    person: str | None
    trigger_class: str | None
    trigger_phrase: str | None
    right: tuple[Reply, ...]
    wrong: Mapping[ErrorKind, tuple[Reply, ...]]
    counts_for: tuple[int, ...]

    @property
    def item(self) -> tuple[int, str, str | None, str]:
        """The practice item it belongs to: verb, tense, person, category."""
        return self.verb_id, self.tense, self.person, self.trigger_class or "none"


@dataclass(frozen=True, slots=True)
class Award:
    """An achievement's criterion."""

    id: int
    slug: str
    metric: str
    op: str
    value: float
    min_attempts: int
    max_ms: int

    def met(self, value: float) -> bool:
        """Whether a value of its metric earns it."""
        return value > self.value if self.op == ">" else value >= self.value


@dataclass(frozen=True)
class Library:
    """What there is to practise, and the configuration that practice heeds."""

    questions: tuple[Question, ...]
    awards: tuple[Award, ...]
    scheduler: str
    desired_retention: float
    fast_answer_ms: int
    daily_new_items: int
    mastery_threshold: float


@dataclass(frozen=True, slots=True)
class ExerciseTruth:
    """One row per exercise: difficulty and discrimination of the two-parameter logistic model (Birnbaum 1968)."""

    slug: str
    difficulty: float
    discrimination: float
    flawed: bool


@dataclass(frozen=True, slots=True)
class LearnerTruth:
    """One row per learner: what is true of them, which analytics can only estimate.

    Ability is in logits; memory multiplies the days a form is remembered; `kinds` are the odds of each slip.
    """

    number: int
    username: str
    ability: float
    memory: float
    kinds: Mapping[str, float]
    zone: str
    moves_to: str | None
    moves_on: date | None
    hour: float
    habit: float
    sitting: int
    pace_ms: float
    hint_rate: float
    goal_minutes: int
    signed_up: date
    last_day: date

    def zone_on(self, day: date) -> ZoneInfo:
        """The zone the learner lives in that day."""
        moved = self.moves_on is not None and day >= self.moves_on
        return ZoneInfo(self.moves_to if moved and self.moves_to else self.zone)


def exercise_truth(seed: int, slug: str, tense: Tense) -> ExerciseTruth:
    """What is true of an exercise; one in twenty is flawed: those who know more miss it more often."""
    random = Random(f"{seed}:exercise:{slug}")
    difficulty = _TENSE_DIFFICULTY.get(tense, 0.2) + random.gauss(0, 0.7)
    discrimination = random.lognormvariate(0, 0.25)
    flawed = random.random() < _FLAWED
    return ExerciseTruth(slug, difficulty, -0.5 * discrimination if flawed else discrimination, flawed)


def learner_truth(plan: Plan, number: int) -> LearnerTruth:
    """Learner `number`, counted from 1; who they are depends on the seed and the plan's days alone."""
    random = Random(f"{plan.seed}:learner:{number}")
    zone, other = (_weighted(random, _ZONES) for _ in range(2))
    signed_up = int(plan.days * random.random() ** 1.5)
    stays = plan.days if random.random() < 0.4 else min(signed_up + int(random.expovariate(1 / 70)) + 3, plan.days)
    first = plan.until.date() - timedelta(days=plan.days)
    moves = other != zone and random.random() < 0.06
    return LearnerTruth(
        number=number,
        username=f"{PREFIX}{number:05d}",
        ability=random.gauss(1.0, 0.8),
        memory=random.lognormvariate(0, 0.4),
        kinds={kind: weight * random.gammavariate(2, 0.5) for kind, weight in _KIND_WEIGHTS.items()},
        zone=zone,
        moves_to=other if moves else None,
        moves_on=first + timedelta(days=(signed_up + stays) // 2) if moves else None,
        hour=random.choice((7.5, 12.8, 18.2, 20.5, 21.5)) + random.gauss(0, 0.7),
        habit=random.betavariate(2, 3),
        sitting=random.randint(6, 22),
        pace_ms=random.lognormvariate(math.log(6500), 0.3),
        hint_rate=random.betavariate(1, 14),
        goal_minutes=random.choice((3, 5, 5, 10, 10, 15, 20)),
        signed_up=first + timedelta(days=signed_up),
        last_day=first + timedelta(days=stays),
    )


def quotas(plan: Plan) -> list[int]:
    """How many of the plan's attempts each learner makes: at least one, `plan.attempts` in all.

    More for those who stay long and practise often.
    """
    weights = []
    for number in range(1, plan.learners + 1):
        learner = learner_truth(plan, number)
        days = (learner.last_day - learner.signed_up).days + 3
        weights.append(days * (0.1 + learner.habit) * Random(f"{plan.seed}:quota:{number}").lognormvariate(0, 0.6))
    spare, total = plan.attempts - plan.learners, sum(weights)
    ends = [round(spare * done / total) for done in accumulate(weights)]
    return [1 + end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def probability(learner: LearnerTruth, truth: ExerciseTruth, seen: int, elapsed_days: float, stability: float) -> float:
    """The probability of a right answer: two-parameter logistic, practice included, times what is still recalled.

    σ(a(θ + 0.3 ln(1+n) − b)) for n earlier answers of the item; once it was met, times the power forgetting
    curve at `elapsed_days` with the learner's true `stability` in days, above a floor of 0.4.
    """
    logit = truth.discrimination * (learner.ability + 0.3 * math.log1p(seen) - truth.difficulty)
    able = 1 / (1 + math.exp(-logit))
    if not seen:
        return able
    return able * (_RECALL_FLOOR + (1 - _RECALL_FLOOR) * power_forgetting(elapsed_days, stability))


@dataclass
class Rows:
    """What one learner left behind, in the columns of `workers.COLUMNS`; attempts as rows of a binary COPY."""

    users: list[tuple[object, ...]] = field(default_factory=list)
    sessions: list[tuple[object, ...]] = field(default_factory=list)
    items: list[tuple[object, ...]] = field(default_factory=list)
    attempts: list[bytes] = field(default_factory=list)
    awards: list[tuple[object, ...]] = field(default_factory=list)


@dataclass
class _Item:
    id: bytes
    questions: list[int]
    memory: Memory = field(default_factory=Memory)
    answers: int = 0
    successes: int = 0
    turn: int = 0


class Life:
    """One learner's practice from sign-up to their last answer."""

    def __init__(self, world: World, number: int, quota: int) -> None:
        self.plan, self.library, self.truths, self.quota = world.plan, world.library, world.truths, quota
        self.learner = learner_truth(self.plan, number)
        self.random = Random(f"{self.plan.seed}:life:{number}")
        self.algorithm = algorithm(self.library.scheduler, self.library.desired_retention)
        self.rows = Rows()
        self.items: dict[tuple[int, str, str | None, str], _Item] = {}
        self.due: list[tuple[float, bytes, tuple[int, str, str | None, str]]] = []
        self.unmet = self._curriculum()
        self.new_on: dict[date, int] = {}
        self.tally = _Tally(self.library)
        self.id = b""

    def live(self) -> Rows:
        """The learner's rows; all of them together hold exactly the quota of attempts."""
        sittings = self._sittings()
        signed_up = min(self._moment(self.learner.signed_up, 0.5), sittings[0][0] - 60)
        self.id = self._uuid(signed_up)
        zone = self.learner.moves_to if self._moved(sittings[-1][0]) else self.learner.zone
        self.rows.users.append(
            (
                self.id.hex(), self.learner.username, f"{self.learner.username}@{DOMAIN}", _time(signed_up), zone,
                self.learner.goal_minutes, self.plan.words, _time(sittings[-1][0]), self.random.random() < 0.88,
            )
        )  # fmt: skip
        for number, (start, answers) in enumerate(sittings, start=1):
            self._sit(start, answers, last=number == len(sittings))
        for item in self.items.values():
            self._write_item(item)
        return self.rows

    # When

    def _sittings(self) -> list[tuple[float, int]]:
        """Start (Unix seconds) and number of answers of each sitting, none reaching into the next."""
        random, learner = self.random, self.learner
        days = self._days(max(1, round(self.quota / learner.sitting)))
        # Whoever has more to do than days for it sits longer, and three times a day at most.
        wanted = min(max(1, round(self.quota / learner.sitting)), 3 * len(days), self.quota)
        hours = (learner.hour + random.gauss(0, 0.8) - 5 * (n // len(days)) for n in range(wanted))
        starts = sorted(self._moment(days[n % len(days)], (hour - 6) % 17 + 6) for n, hour in enumerate(hours))
        weights = [random.uniform(0.5, 1.5) for _ in starts]
        ends = [round((self.quota - wanted) * done / sum(weights)) for done in accumulate(weights)]
        counts = [1 + end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        planned, latest = [], self.plan.until.timestamp()
        for start, count in sorted(zip(starts, counts, strict=True), reverse=True):
            latest = min(start, latest - count * _SECONDS_AN_ANSWER - 90)
            planned.append((latest, count))
        return planned[::-1]

    def _days(self, wanted: int) -> list[date]:
        """Practised days: a two-state chain, since who practised yesterday is likelier to practise today."""
        random, learner = self.random, self.learner
        runs: list[list[date]] = [[]]
        for offset in range((learner.last_day - learner.signed_up).days + 1):
            day = learner.signed_up + timedelta(days=offset)
            chance = learner.habit * (0.7 if day.weekday() >= 5 else 1) + (0.4 if runs[-1] else 0)
            if random.random() < chance:
                runs[-1].append(day)
            elif runs[-1]:
                runs.append([])
        # Too many: whole runs go, so that streaks keep their length and the period its ends.
        random.shuffle(runs)
        days = [day for run in runs for day in run][:wanted]
        return sorted(days) or [learner.signed_up]

    def _moment(self, day: date, hour: float) -> float:
        """Unix seconds of a local time of day, kept between 5 and 23.5 o'clock."""
        local = datetime(day.year, day.month, day.day, tzinfo=self.learner.zone_on(day))
        return (local + timedelta(hours=min(max(hour, 5), 23.5))).timestamp()

    def _moved(self, at: float) -> bool:
        return self.learner.moves_on is not None and _time(at).date() >= self.learner.moves_on

    def _local_day(self, at: datetime) -> date:
        # The move happens at midnight UTC of its day.
        zone = self.learner.moves_to if self.learner.moves_on and at.date() >= self.learner.moves_on else None
        return at.astimezone(ZoneInfo(zone or self.learner.zone)).date()

    # What

    def _curriculum(self) -> list[tuple[int, str, str | None, str]]:
        """The items in the order in which this learner meets them, first to come last."""
        order: dict[tuple[int, str, str | None, str], list[int]] = {}
        for position, question in enumerate(self.library.questions):
            order.setdefault(question.item, []).append(position)
        self.questions_of = order
        keys = list(order)
        # Scenarios come in their order, but everybody strays a little.
        nudged = sorted(range(len(keys)), key=lambda n: n + self.random.gauss(0, 8))
        return [keys[n] for n in reversed(nudged)]

    def _pick(self, now: float, today: date) -> _Item:
        """What is due, then a new item within the day's ration, then whatever is due next."""
        if self.due and self.due[0][0] <= now:
            return self.items[heappop(self.due)[2]]
        if self.unmet and (self.new_on.get(today, 0) < self.library.daily_new_items or not self.due):
            self.new_on[today] = self.new_on.get(today, 0) + 1
            key = self.unmet.pop()
            self.items[key] = _Item(self._uuid(now), self.questions_of[key])
            return self.items[key]
        return self.items[heappop(self.due)[2]]

    # How

    def _sit(self, start: float, answers: int, *, last: bool) -> None:
        random, session = self.random, self._uuid(start)
        today, now = self._local_day(_time(start)), start
        begin = _ROW + binary.field(self.id) + binary.field(session)
        for _ in range(answers):
            now += self._answer(begin, now, today)
        # Whoever leaves for good, and now and then somebody else, closes the page instead of the session – unless
        # there is an award to be had.
        leaves = random.random() < (0.25 if last else 0.02) and not self.tally.to_win(
            lambda: self._mastered(_time(now))
        )
        ended = None if leaves else now + random.uniform(1, 40)
        unlocked = [] if ended is None else self._close(ended)
        kind = random.choices(("practice", "review", "assessment", "challenge"), (70, 20, 5, 5))[0]
        self.rows.sessions.append(
            (
                session.hex(), self.id.hex(), kind, _time(start), self._local_day(_time(start)), self.learner.goal_minutes,
                None if ended is None else _time(ended), "{" + ",".join(unlocked) + "}",
            )
        )  # fmt: skip

    def _answer(self, begin: bytes, now: float, today: date) -> float:
        """One answer, whose row begins so; returns the seconds until the next question."""
        random, learner = self.random, self.learner
        item = self._pick(now, today)
        position = item.questions[item.turn % len(item.questions)]
        item.turn += 1
        question, truth = self.library.questions[position], self.truths[position]
        memory = item.memory
        elapsed = (now - memory.last_review.timestamp()) / 86_400 if memory.last_review else 0.0
        stability = learner.memory * 2.0 ** min(item.successes + 1, 9)
        chance = probability(learner, truth, item.answers, elapsed, stability)
        hints = int(random.random() < learner.hint_rate)
        right = random.random() < chance + (0.4 * (1 - chance) if hints else 0)
        reply = self._reply(question, right)
        milliseconds = learner.pace_ms * random.lognormvariate(0.1 * truth.difficulty + (0 if right else 0.2), 0.4)
        milliseconds = int(min(max(milliseconds, 600), _LONGEST_MS))
        given = now + milliseconds / 1000
        micros = int(given * 1_000_000) - _EPOCH_MICROS
        at = binary.EPOCH + timedelta(microseconds=micros)
        correct = reply.is_correct
        sure = None if random.random() < 0.3 else min(max(round(1 + 4 * chance + random.gauss(0, 0.9)), 1), 5)
        rating = rate(
            is_correct=correct,
            exact=reply.is_exact,
            response_time_ms=milliseconds,
            fast_answer_ms=self.library.fast_answer_ms,
            hints_used=hints,
            confidence=sure,
        )
        scheduled = _UNSCHEDULED
        item.answers += 1
        item.successes = item.successes + 1 if correct else item.successes // 2
        if question.person is None:
            # Not scheduled; asked again after a while.
            item.memory = Memory(last_review=at)
            heappush(self.due, (given + 3 * 86_400, item.id, question.item))
        else:
            after = item.memory = self.algorithm.review(memory, rating, at)
            assert after.due is not None
            heappush(self.due, (after.due.timestamp(), item.id, question.item))
            scheduled = _scheduled(item.id, rating, memory, after)
        day = self._local_day(at)
        self.tally.add(question, correct, milliseconds, day)
        # A third of the work was to have each of thirty values written by itself.
        self.rows.attempts += (
            begin, _ID.pack(16, self._uuid(given)), scheduled, reply.fields,
            _TIMED.pack(4, milliseconds, 4, hints), binary.field(sure),
            _DATED.pack(8, micros, 8, micros + 20_000 + int(380_000 * random.random()), 4, binary.days(day)),
        )  # fmt: skip
        return milliseconds / 1000 + random.uniform(3, 14)

    def _reply(self, question: Question, right: bool) -> Reply:
        random = self.random
        if right:
            return question.right[0] if random.random() < 0.9 else random.choice(question.right)
        kinds = list(question.wrong)
        weights = [self.learner.kinds.get(kind, 0.1) for kind in kinds]
        return random.choice(question.wrong[random.choices(kinds, weights)[0]])

    # What it earns

    def _close(self, ended: float) -> list[str]:
        at = _time(ended)
        unlocked = self.tally.closed(lambda: self._mastered(at))
        self.rows.awards.extend((self._uuid(ended).hex(), self.id.hex(), award.id, at) for award in unlocked)
        return sorted(award.slug for award in unlocked)

    def _mastered(self, at: datetime) -> int:
        """Items whose retrievability times min(1, answers / 5) reaches the threshold."""
        return sum(
            self.algorithm.retrievability(item.memory, at) * min(1, item.answers / 5) >= self.library.mastery_threshold
            for item in self.items.values()
            if item.answers >= 5 * self.library.mastery_threshold
        )

    def _write_item(self, item: _Item) -> None:
        question = self.library.questions[item.questions[0]]
        if question.person is None:
            return
        memory = item.memory
        self.rows.items.append(
            (
                item.id.hex(), self.id.hex(), *question.item, question.trigger_phrase, self.library.scheduler, memory.interval,
                memory.ease, memory.repetitions, memory.lapses, memory.stability, memory.difficulty, memory.due,
                memory.last_review,
            )
        )  # fmt: skip

    def _uuid(self, at: float) -> bytes:
        """A UUIDv7 of that time (RFC 9562), its random part from the learner's own stream."""
        bits = self.random.getrandbits(74)
        value = (int(at * 1000) << 80) | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & ((1 << 62) - 1))
        return value.to_bytes(16)


class _Tally:
    """What the criteria of achievements ask for, kept while a learner practises."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.open = dict(enumerate(library.awards))
        self.answers = [0] * len(library.awards)
        self.right = [0] * len(library.awards)
        self.fast = [0] * len(library.awards)
        self.tenses: list[set[str]] = [set() for _ in library.awards]
        self.sessions = self.streak = self.longest = 0
        self.last_day: date | None = None
        size: dict[str, int] = {}
        for question in library.questions:
            size[question.scenario] = size.get(question.scenario, 0) + 1
        self.left = size
        self.solved: set[str] = set()

    def add(self, question: Question, correct: bool, milliseconds: int, day: date) -> None:
        for position in question.counts_for:
            if position in self.open:
                self.answers[position] += 1
                self.tenses[position].add(question.tense)
                if correct:
                    self.right[position] += 1
                    self.fast[position] += milliseconds < self.library.awards[position].max_ms
        if correct and question.id not in self.solved:
            self.solved.add(question.id)
            self.left[question.scenario] -= 1
        if day != self.last_day:
            follows = self.last_day is not None and day - self.last_day == timedelta(days=1)
            self.streak = self.streak + 1 if follows else 1
            self.longest, self.last_day = max(self.longest, self.streak), day

    def to_win(self, mastered: Callable[[], int]) -> list[int]:
        """The awards, by position, that closing the session would unlock."""
        return [n for n, award in self.open.items() if self._met(n, award, mastered)]

    def closed(self, mastered: Callable[[], int]) -> list[Award]:
        """Count a closed session; the awards it unlocks are won once."""
        won = self.to_win(mastered)
        self.sessions += 1
        return [self.open.pop(n) for n in won]

    def _met(self, n: int, award: Award, mastered: Callable[[], int]) -> bool:
        if award.metric == "accuracy":
            answers = self.answers[n]
            return answers >= max(award.min_attempts, 1) and award.met(self.right[n] / answers)
        if award.metric == "items_mastered":
            return award.met(mastered())
        return award.met(
            {
                "total_attempts": self.answers[n],
                "correct_attempts": self.right[n],
                "fast_correct": self.fast[n],
                "tenses_practised": len(self.tenses[n].intersection(SUBJUNCTIVE_TENSES)),
                "sessions": self.sessions + 1,
                "longest_streak": self.longest,
                "scenarios_completed": sum(not left for left in self.left.values()),
            }[award.metric]
        )


def _weighted(random: Random, choices: Sequence[tuple[str, int]]) -> str:
    ends = list(accumulate(weight for _, weight in choices))
    return choices[bisect(ends, random.random() * ends[-1])][0]


_ROW = binary.row_of(30)
_UNSCHEDULED = binary.NULL * 8
_ID, _TIMED, _DATED = struct.Struct(">i16s"), struct.Struct(">iiii"), struct.Struct(">iqiqii")
_REVIEW, _MEMORY = struct.Struct(">i16siiiiiiidid"), struct.Struct(">id")
_EPOCH_MICROS = int(binary.EPOCH.timestamp()) * 1_000_000


def _scheduled(item: bytes, rating: Rating, before: Memory, after: Memory) -> bytes:
    """The item's id, the rating, and interval, ease and stability before and after, as fields."""
    review = _REVIEW.pack(
        16, item, 4, rating, 4, before.interval, 4, after.interval, 8, before.ease, 8, after.ease
    )  # fmt: skip
    known, new = (
        binary.NULL if memory.stability is None else _MEMORY.pack(8, memory.stability) for memory in (before, after)
    )
    return review + known + new


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(round(at, 6), UTC)


class World:
    """What learners live in: the plan, the library, and the truth of its exercises."""

    def __init__(self, plan: Plan, library: Library) -> None:
        self.plan, self.library = plan, library
        self.truths = [exercise_truth(plan.seed, question.slug, question.tense) for question in library.questions]

    def lives(self, numbers: Sequence[int], counts: Sequence[int]) -> Iterator[Rows]:
        """The rows of these learners, one after the other."""
        for number, quota in zip(numbers, counts, strict=True):
            yield Life(self, number, quota).live()
