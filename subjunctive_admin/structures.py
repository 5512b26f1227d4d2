"""The shape of content: one frozen model for each kind of item and for each jsonb column.

The same classes read the YAML of `seeds/`, validate what an editor enters, and re-check what the
database holds. An item here carries natural keys only: no ids, times or counters, so that its
`content_hash` is the same in a file and in a table.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictInt,
    ValidationError,
    model_validator,
)

from subjunctive_admin.vocabulary import (
    SUBJUNCTIVE_TENSES,
    AchievementCategory,
    CefrLevel,
    ConjugationClass,
    ContentStatus,
    CriteriaMetric,
    CriteriaOperator,
    DifficultyLevel,
    ExerciseType,
    ItemKind,
    Person,
    ScenarioContext,
    Scheduler,
    StemChangePattern,
    Tense,
    Tier,
    TriggerClass,
    ValueType,
    VerbType,
)

BLANK = "___"
INFINITIVE_PATTERN = r"^[a-záéíóúüñ]*(ar|er|ir|ír)(se)?$"
SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
CONFIG_KEY_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$"
_FORM_PATTERN = re.compile(r"^[a-záéíóúüñ]+( [a-záéíóúüñ]+){0,3}$")
# Unicode's category Cc, but for line ends and tabs.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "api_key", "private_key")


def _clean_text(value: str) -> str:
    """Text is stored composed (NFC) and trimmed; control characters are refused."""
    if _CONTROL.search(value):
        raise ValueError("holds a control character")
    return unicodedata.normalize("NFC", value).strip()


def _form(value: str) -> str:
    value = _clean_text(value)
    if not _FORM_PATTERN.match(value):
        raise ValueError(f"{value!r} is not a verb form: lower-case Spanish letters, words separated by one space")
    return value


Text = Annotated[str, AfterValidator(_clean_text)]
Line = Annotated[str, AfterValidator(_clean_text), Field(min_length=1)]
Form = Annotated[str, AfterValidator(_form)]
Slug = Annotated[str, Field(pattern=SLUG_PATTERN, max_length=80)]
Infinitive = Annotated[str, AfterValidator(_clean_text), Field(pattern=INFINITIVE_PATTERN, max_length=50)]
Conjugations = dict[Tense, dict[Person, list[Form]]]


class Structure(BaseModel):
    """A frozen value that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False)


class ExampleSentence(Structure):
    """A Spanish sentence with its English translation."""

    es: Line
    en: Line


class Override(Structure):
    """The forms an editor insists on in one cell, and why."""

    forms: list[Form] = Field(min_length=1)
    note: Line


class Criterion(Structure):
    """When an achievement is earned: `metric op value`, over the attempts that `filter` lets through."""

    metric: CriteriaMetric
    op: CriteriaOperator = CriteriaOperator.AT_LEAST
    value: float = Field(gt=0)
    filter: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_filter(self) -> Self:
        known = _FILTERS_OF.get(self.metric, frozenset())
        if unknown := sorted(set(self.filter) - known):
            knows = ", ".join(sorted(known)) or "none"
            raise ValueError(f"the filters of {self.metric}: {knows}; not {', '.join(unknown)}")
        try:
            _Filter.model_validate(self.filter)
        except ValidationError as error:
            first = error.errors()[0]
            shown = self.filter[str(first["loc"][0])]
            raise ValueError(f"filter.{first['loc'][0]}: {first['msg']}, not {shown!r}") from None
        return self


class _Filter(Structure):
    """The values that a criterion's filter may have."""

    tense: Tense | None = None
    verb_type: VerbType | None = None
    trigger_class: TriggerClass | None = None
    min_attempts: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 0
    max_ms: Annotated[StrictInt, Field(gt=0, le=3_600_000)] | None = None


_OF_ANSWERS = frozenset({"tense", "verb_type", "trigger_class"})
_FILTERS_OF = {
    CriteriaMetric.TOTAL_ATTEMPTS: _OF_ANSWERS,
    CriteriaMetric.CORRECT_ATTEMPTS: _OF_ANSWERS,
    CriteriaMetric.TENSES_PRACTISED: _OF_ANSWERS,
    CriteriaMetric.ACCURACY: _OF_ANSWERS | {"min_attempts"},
    CriteriaMetric.FAST_CORRECT: _OF_ANSWERS | {"max_ms"},
}


class Content(Structure):
    """An item of content under its natural key."""

    kind: ClassVar[ItemKind]

    @property
    def key(self) -> str:
        """The natural key: the infinitive, the slug or the configuration key."""
        raise NotImplementedError

    def payload(self) -> dict[str, Any]:
        """The item as plain JSON, every field present: what revisions store and hashes are made of."""
        return self.model_dump(mode="json")

    def content_hash(self) -> str:
        """SHA-256 of the canonical JSON: equal exactly when the content is equal."""
        return payload_hash(self.payload())


def payload_hash(payload: dict[str, Any]) -> str:
    """SHA-256 of a payload's canonical JSON (sorted keys, no spaces, UTF-8), in hex."""
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class VerbContent(Content):
    """A verb with every form of the subjunctive."""

    kind = ItemKind.VERB

    infinitive: Infinitive
    english_translation: Annotated[Line, Field(max_length=200)]
    verb_type: VerbType
    conjugation_class: ConjugationClass
    stem_change_pattern: StemChangePattern | None = None
    features: list[Line] = Field(default_factory=list)
    frequency_rank: int | None = Field(None, gt=0)
    frequency_band: int = Field(ge=1, le=5)
    difficulty_level: DifficultyLevel
    is_defective: bool = False
    gerund: Form
    past_participle: Form
    conjugations: Conjugations
    conjugation_overrides: dict[Tense, dict[Person, Override]] = Field(default_factory=dict)
    example_sentences: list[ExampleSentence] = Field(default_factory=list)
    semantic_tags: list[Line] = Field(default_factory=list)
    usage_notes: Text = ""
    cultural_notes: Text = ""
    status: ContentStatus = ContentStatus.PUBLISHED

    @property
    def key(self) -> str:
        return self.infinitive

    @model_validator(mode="after")
    def _class_follows_the_ending(self) -> Self:
        ending = self.infinitive.removesuffix("se")[-2:].replace("í", "i")
        if ending != self.conjugation_class:
            raise ValueError(f"{self.infinitive} ends in -{ending}, so conjugation_class is {ending}")
        return self

    @model_validator(mode="after")
    def _subjunctive_is_complete(self) -> Self:
        missing = [
            f"{tense} {person}"
            for tense in SUBJUNCTIVE_TENSES
            for person in Person
            if not self.conjugations.get(tense, {}).get(person)
        ]
        if missing and not self.is_defective:
            shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
            raise ValueError(f"forms are missing: {shown}; a verb without them is marked is_defective")
        return self


class ScenarioContent(Content):
    """A situation to practise in."""

    kind = ItemKind.SCENARIO

    slug: Slug
    title: Annotated[Line, Field(max_length=120)]
    description: Line
    context: ScenarioContext
    difficulty_level: DifficultyLevel
    cefr_level: CefrLevel
    learning_objectives: list[Line] = Field(min_length=1)
    cultural_notes: Text = ""
    example_sentences: list[ExampleSentence] = Field(default_factory=list)
    estimated_minutes: int = Field(gt=0)
    position: int = Field(ge=0)
    status: ContentStatus = ContentStatus.PUBLISHED

    @property
    def key(self) -> str:
        return self.slug


class ExerciseContent(Content):
    """One question; `accepted_answers` is the complete set, the one to teach first."""

    kind = ItemKind.EXERCISE

    slug: Slug
    scenario: Slug
    verb: Infinitive
    exercise_type: ExerciseType
    tense: Tense
    person: Person | None = None
    trigger_class: TriggerClass | None = None
    trigger_phrase: Text = ""
    difficulty_level: DifficultyLevel
    prompt: Line
    accepted_answers: list[Line] = Field(min_length=1)
    distractors: list[Line] = Field(default_factory=list)
    explanation: Line
    hint: Text = ""
    cultural_note: Text = ""
    tags: list[Line] = Field(default_factory=list)
    position: int = Field(ge=0)
    status: ContentStatus = ContentStatus.PUBLISHED

    @property
    def key(self) -> str:
        return self.slug

    @property
    def correct_answer(self) -> str:
        """The answer to teach: the first of the accepted ones."""
        return self.accepted_answers[0]

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if self.exercise_type is ExerciseType.FILL_BLANK and (
            self.prompt.count(BLANK) != 1 or "_" in self.prompt.replace(BLANK, "")
        ):
            raise ValueError(f"a fill_blank has exactly one {BLANK} in its prompt")
        if self.exercise_type is ExerciseType.MULTIPLE_CHOICE and len(self.distractors) < 2:
            raise ValueError("a multiple_choice needs at least two distractors")
        if len(set(self.accepted_answers)) != len(self.accepted_answers):
            raise ValueError("an accepted answer stands twice")
        if len(set(self.distractors)) != len(self.distractors):
            raise ValueError("a distractor stands twice")
        if both := sorted(set(self.distractors) & set(self.accepted_answers)):
            raise ValueError(f"a distractor is an accepted answer: {', '.join(both)}")
        return self


class AchievementContent(Content):
    """An award with the criterion that earns it."""

    kind = ItemKind.ACHIEVEMENT

    slug: Slug
    name: Annotated[Line, Field(max_length=80)]
    description: Line
    category: AchievementCategory
    icon: Annotated[Line, Field(max_length=40)]
    points: int = Field(ge=0)
    criteria: Criterion
    tier: Tier
    is_active: bool = True

    @property
    def key(self) -> str:
        return self.slug


_CHOICES: dict[str, tuple[str, ...]] = {"practice.scheduler": tuple(Scheduler)}

_JSON_TYPES: dict[ValueType, tuple[type, ...]] = {
    ValueType.STRING: (str,),
    ValueType.INTEGER: (int,),
    ValueType.NUMBER: (int, float),
    ValueType.BOOLEAN: (bool,),
    ValueType.LIST: (list,),
    ValueType.OBJECT: (dict,),
}


class ConfigurationEntry(Content):
    """One value of the system configuration with its type and limits."""

    kind = ItemKind.CONFIGURATION

    name: Annotated[str, Field(pattern=CONFIG_KEY_PATTERN, max_length=100)]
    value: JsonValue
    value_type: ValueType
    description: Line
    min: float | None = None
    max: float | None = None

    @property
    def key(self) -> str:
        return self.name

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if any(word in self.name for word in _SECRET_WORDS):
            raise ValueError(f"{self.name} looks like a secret; secrets belong in the environment or a passfile")
        if self.name in _CHOICES and self.value not in _CHOICES[self.name]:
            raise ValueError(f"{self.name} is one of {', '.join(_CHOICES[self.name])}, not {self.value!r}")
        expected = _JSON_TYPES[self.value_type]
        if not isinstance(self.value, expected) or (isinstance(self.value, bool) and bool not in expected):
            article = "an" if self.value_type in {ValueType.INTEGER, ValueType.OBJECT} else "a"
            found = json.dumps(self.value, ensure_ascii=False)
            raise ValueError(f"{self.name} is {article} {self.value_type}, not {found}")
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            if self.min is not None and self.value < self.min:
                raise ValueError(f"{self.name} is at least {self.min:g}, not {self.value:g}")
            if self.max is not None and self.value > self.max:
                raise ValueError(f"{self.name} is at most {self.max:g}, not {self.value:g}")
        return self


CONTENT_CLASSES: dict[ItemKind, type[Content]] = {
    ItemKind.VERB: VerbContent,
    ItemKind.SCENARIO: ScenarioContent,
    ItemKind.EXERCISE: ExerciseContent,
    ItemKind.ACHIEVEMENT: AchievementContent,
    ItemKind.CONFIGURATION: ConfigurationEntry,
}
