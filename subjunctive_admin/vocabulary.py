"""The words of the domain: one plain enum each, the same label in the database, Python, JSON and YAML.

Standard library only. The order of the members is the order of the labels in PostgreSQL, which a
health check compares; add a member at the end, in a migration of its own.
"""

from __future__ import annotations

from enum import StrEnum


class DifficultyLevel(StrEnum):
    """How demanding an item is, from A1 to C2 in four steps."""

    BEGINNER = "beginner"
    INTERMEDIATE = "intermediate"
    ADVANCED = "advanced"
    EXPERT = "expert"


class VerbType(StrEnum):
    """The least regular class that applies to a verb; its `features` list them all."""

    REGULAR = "regular"
    SPELLING_CHANGING = "spelling_changing"
    STEM_CHANGING = "stem_changing"
    IRREGULAR = "irregular"


class ConjugationClass(StrEnum):
    """The ending of the infinitive without its pronoun; `oír` is an `ir` verb."""

    AR = "ar"
    ER = "er"
    IR = "ir"


class StemChangePattern(StrEnum):
    """What the stressed stem vowel becomes; none is NULL."""

    E_IE = "e_ie"
    O_UE = "o_ue"
    U_UE = "u_ue"
    I_IE = "i_ie"
    E_I = "e_i"
    O_U = "o_u"


class Tense(StrEnum):
    """Tense with its mood: contrast exercises ask for the indicative too."""

    PRESENT_SUBJUNCTIVE = "present_subjunctive"
    IMPERFECT_SUBJUNCTIVE = "imperfect_subjunctive"
    FUTURE_SUBJUNCTIVE = "future_subjunctive"
    PRESENT_PERFECT_SUBJUNCTIVE = "present_perfect_subjunctive"
    PLUPERFECT_SUBJUNCTIVE = "pluperfect_subjunctive"
    FUTURE_PERFECT_SUBJUNCTIVE = "future_perfect_subjunctive"
    PRESENT_INDICATIVE = "present_indicative"
    PRETERITE_INDICATIVE = "preterite_indicative"
    IMPERFECT_INDICATIVE = "imperfect_indicative"
    FUTURE_INDICATIVE = "future_indicative"
    CONDITIONAL_INDICATIVE = "conditional_indicative"
    PRESENT_PERFECT_INDICATIVE = "present_perfect_indicative"
    PLUPERFECT_INDICATIVE = "pluperfect_indicative"
    PRETERITE_PERFECT_INDICATIVE = "preterite_perfect_indicative"
    FUTURE_PERFECT_INDICATIVE = "future_perfect_indicative"
    CONDITIONAL_PERFECT_INDICATIVE = "conditional_perfect_indicative"
    IMPERATIVE_AFFIRMATIVE = "imperative_affirmative"
    IMPERATIVE_NEGATIVE = "imperative_negative"


SUBJUNCTIVE_TENSES: tuple[Tense, ...] = tuple(t for t in Tense if t.endswith("_subjunctive"))
"""The six tenses of the subjunctive: a published verb has all their forms."""

LEARNT_TENSES: tuple[Tense, ...] = (
    Tense.PRESENT_SUBJUNCTIVE,
    Tense.IMPERFECT_SUBJUNCTIVE,
    Tense.PRESENT_PERFECT_SUBJUNCTIVE,
    Tense.PLUPERFECT_SUBJUNCTIVE,
)
"""The four tenses in use today; the future ones survive in law and proverbs."""


class Person(StrEnum):
    """Grammatical person; `el` stands for él, ella, usted and `ellos` for ellos, ellas, ustedes."""

    YO = "yo"
    TU = "tu"
    EL = "el"
    NOSOTROS = "nosotros"
    VOSOTROS = "vosotros"
    ELLOS = "ellos"


PERSON_NAMES: dict[Person, str] = {
    Person.YO: "yo",
    Person.TU: "tú",
    Person.EL: "él, ella, usted",
    Person.NOSOTROS: "nosotros",
    Person.VOSOTROS: "vosotros",
    Person.ELLOS: "ellos, ellas, ustedes",
}
"""The pronouns of each person, as they are written; the first is the one that prompts use."""


class ExerciseType(StrEnum):
    """What the learner is asked to do."""

    FILL_BLANK = "fill_blank"
    MULTIPLE_CHOICE = "multiple_choice"
    CONJUGATION = "conjugation"
    TRANSLATION = "translation"
    TRIGGER_IDENTIFICATION = "trigger_identification"
    ERROR_CORRECTION = "error_correction"


class TriggerClass(StrEnum):
    """Why the clause takes the mood it takes."""

    WISH = "wish"
    EMOTION = "emotion"
    IMPERSONAL = "impersonal"
    INFLUENCE = "influence"
    DOUBT_DENIAL = "doubt_denial"
    OJALA = "ojala"
    POSSIBILITY = "possibility"
    PURPOSE_CONDITION = "purpose_condition"
    TIME = "time"
    CONCESSION = "concession"
    RELATIVE = "relative"
    CONDITIONAL = "conditional"
    INDEPENDENT = "independent"


class PracticeCategory(StrEnum):
    """A practice item's trigger class, or `none` for practice of bare forms."""

    NONE = "none"
    WISH = "wish"
    EMOTION = "emotion"
    IMPERSONAL = "impersonal"
    INFLUENCE = "influence"
    DOUBT_DENIAL = "doubt_denial"
    OJALA = "ojala"
    POSSIBILITY = "possibility"
    PURPOSE_CONDITION = "purpose_condition"
    TIME = "time"
    CONCESSION = "concession"
    RELATIVE = "relative"
    CONDITIONAL = "conditional"
    INDEPENDENT = "independent"


class Verdict(StrEnum):
    """What grading says of an answer; policy decides whether `accent_only` counts as right."""

    CORRECT = "correct"
    ACCEPTED = "accepted"
    ACCENT_ONLY = "accent_only"
    WRONG = "wrong"


class ErrorKind(StrEnum):
    """The rule that a wrong answer missed."""

    MOOD = "mood"
    TENSE = "tense"
    PERSON = "person"
    STEM = "stem"
    IRREGULAR = "irregular"
    SPELLING = "spelling"
    ACCENT = "accent"
    ENDING = "ending"
    PARTICIPLE = "participle"
    AUXILIARY = "auxiliary"
    PRONOUN = "pronoun"
    INFINITIVE = "infinitive"
    PHONETIC = "phonetic"
    FOLK = "folk"
    VOSEO = "voseo"
    TYPO = "typo"
    UNKNOWN = "unknown"


class ContentStatus(StrEnum):
    """State of live content; content that learners met is retired, never deleted."""

    PUBLISHED = "published"
    RETIRED = "retired"


class DraftState(StrEnum):
    """State of work in progress, which is kept apart from live content."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"


class ItemKind(StrEnum):
    """What a draft, a revision or a seed is about."""

    VERB = "verb"
    SCENARIO = "scenario"
    EXERCISE = "exercise"
    ACHIEVEMENT = "achievement"
    CONFIGURATION = "configuration"


class OperationKind(StrEnum):
    """The named changes of content; each is one transaction and can be undone as one."""

    SEED = "seed"
    ADD = "add"
    EDIT = "edit"
    RETIRE = "retire"
    RESTORE = "restore"
    UNDO = "undo"
    CONFIGURE = "configure"


class ScenarioContext(StrEnum):
    """The sphere of life a scenario plays in."""

    SOCIAL = "social"
    PROFESSIONAL = "professional"
    CULTURAL = "cultural"


class CefrLevel(StrEnum):
    """Level of the Common European Framework of Reference for Languages."""

    A1 = "A1"
    A2 = "A2"
    B1 = "B1"
    B2 = "B2"
    C1 = "C1"
    C2 = "C2"


class SessionType(StrEnum):
    """What a study session was started for."""

    PRACTICE = "practice"
    REVIEW = "review"
    ASSESSMENT = "assessment"
    CHALLENGE = "challenge"


class ProgressStatus(StrEnum):
    """How far a learner is with a scenario."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class Scheduler(StrEnum):
    """The algorithm that set an item's next review."""

    SM2 = "sm2"
    FSRS = "fsrs"


class AchievementCategory(StrEnum):
    """What an achievement rewards."""

    STREAK = "streak"
    MASTERY = "mastery"
    PRACTICE = "practice"
    MILESTONE = "milestone"
    SPEED = "speed"
    EXPLORATION = "exploration"


class Tier(StrEnum):
    """Rank of an achievement."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"


class CriteriaMetric(StrEnum):
    """The closed list of quantities an achievement can ask for."""

    TOTAL_ATTEMPTS = "total_attempts"
    CORRECT_ATTEMPTS = "correct_attempts"
    ACCURACY = "accuracy"
    SESSIONS = "sessions"
    LONGEST_STREAK = "longest_streak"
    ITEMS_MASTERED = "items_mastered"
    SCENARIOS_COMPLETED = "scenarios_completed"
    TENSES_PRACTISED = "tenses_practised"
    FAST_CORRECT = "fast_correct"


class CriteriaOperator(StrEnum):
    """How a metric is compared with the value of a criterion."""

    AT_LEAST = ">="
    MORE_THAN = ">"


class ValueType(StrEnum):
    """JSON type of a configuration value."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


class Status(StrEnum):
    """Outcome of a check or a report; `unknown` means that it could not look."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


EXIT_CODE_OF_STATUS: dict[Status, int] = {
    Status.OK: 0,
    Status.INFO: 0,
    Status.SKIPPED: 0,
    Status.WARNING: 1,
    Status.CRITICAL: 2,
    Status.UNKNOWN: 3,
}

_SEVERITY = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING)


def overall(statuses: list[Status]) -> Status:
    """The status of many: critical before unknown before warning before ok; info and skipped never count."""
    return next((s for s in _SEVERITY if s in statuses), Status.OK)
