"""Every form of a Spanish verb from its infinitive, and the rule or table entry that made it.

General rules – spelling at the joint, stem vowels, hiatus, accents – and explicit tables of the irregular models and
their members; what no table names is regular. Pure: the standard library and the vocabulary. Norm: the Nueva
gramática (2009) and the Ortografía (2010) of the Real Academia Española; an older spelling is accepted with a note.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from subjunctive_admin.content import verb_tables as tables
from subjunctive_admin.vocabulary import ConjugationClass, Person, StemChangePattern, Tense, VerbType


class NotAVerb(ValueError):
    """What was given is no Spanish infinitive."""


class Rule(StrEnum):
    """What a learner can miss: switched off, it gives the form of somebody who does not know it."""

    SPELLING = "spelling"
    STEM_CHANGE = "stem_change"
    IRREGULAR = "irregular"
    ACCENT = "accent"
    PARTICIPLE = "participle"


View = Tense | str
_VIEWS = {
    "imperfect_subjunctive_ra": (Tense.IMPERFECT_SUBJUNCTIVE, 0),
    "imperfect_subjunctive_se": (Tense.IMPERFECT_SUBJUNCTIVE, 1),
    "pluperfect_subjunctive_ra": (Tense.PLUPERFECT_SUBJUNCTIVE, 0),
    "pluperfect_subjunctive_se": (Tense.PLUPERFECT_SUBJUNCTIVE, 1),
}
"""The two halves of the tenses that have a form in -ra and one in -se."""
_PEOPLE = tuple(Person)
_POSITION = {person: number for number, person in enumerate(Person)}
_PERSONS = tuple(person.value for person in Person)
_TENSES = {tense: tense.value for tense in Tense}
_STRESSED = (0, 1, 2, 5)
"""The persons whose present is stressed on the stem."""


class Cell(NamedTuple):
    """One person in one tense: every accepted form, primary first, what made it, and what is to be said of it."""

    forms: tuple[str, ...]
    rule: str
    notes: tuple[str, ...] = ()


class Reading(NamedTuple):
    """One cell that a form fills."""

    infinitive: str
    tense: Tense
    person: Person
    form: str


class Paradigm:
    """All forms of a verb; `paradigm[tense, person]` is a `Cell`, and the views in -ra and -se are tenses too."""

    __slots__ = (
        "_cells", "_notes", "_verb", "conjugation_class", "gerund", "infinitive", "is_reflexive", "past_participle",
        "stem_change_pattern",
    )  # fmt: skip

    def __init__(self, verb: _Verb) -> None:
        self._verb = verb
        self._cells, self._notes = verb.cells, verb.notes
        self.infinitive = verb.infinitive
        self.is_reflexive = verb.is_reflexive
        self.conjugation_class = ConjugationClass(verb.ending)
        self.stem_change_pattern = verb.pattern
        self.gerund = tuple(verb.gerunds)
        self.past_participle = tuple(verb.participles)

    @property
    def verb_type(self) -> VerbType:
        """The least regular class that applies."""
        return self._verb.described[0]

    @property
    def features(self) -> tuple[str, ...]:
        """What is to be known of the verb, in short English phrases."""
        return self._verb.described[1]

    @property
    def defective(self) -> str | None:
        """In which persons or tenses it is used, where not in all."""
        base = self._verb.known
        if base in tables.IMPERSONAL:
            return "of the weather: third person singular, but for figurative use"
        if base in tables.THIRD_PERSON:
            return "third person only"
        if base in tables.MOSTLY_THIRD:
            return "mostly in the third person"
        if base in tables.ONLY_I:
            return "only the forms whose ending begins with i"
        return "no future, conditional or imperative in use" if base in tables.NO_FUTURE else None

    def __getitem__(self, cell: tuple[View, Person | str]) -> Cell:
        tense, person = cell
        half = None
        if tense in _VIEWS:
            tense, half = _VIEWS[tense]
        tense, person = Tense(tense), Person(person)
        forms = self._cells[tense][_POSITION[person]]
        if half is not None:
            forms = forms[half::2]  # they are made in pairs
        return Cell(forms, self._verb.rule(tense, person), tuple(self._notes.get((tense, person), ())))

    def accepted(self, tense: Tense, person: Person) -> tuple[str, ...]:
        """The forms of a cell alone, primary first."""
        return self._cells[tense][_POSITION[person]]

    def forms(self) -> dict[str, dict[str, list[str]]]:
        """Tense → person → accepted forms, primary first; empty where there is none."""
        return {_TENSES[tense]: dict(zip(_PERSONS, map(list, row), strict=True)) for tense, row in self._cells.items()}

    def as_dict(self) -> dict[str, object]:
        """Everything as plain JSON, the views in -ra and -se beside the tenses."""
        forms = self.forms()
        forms |= {view: {person.value: list(self[view, person].forms) for person in _PEOPLE} for view in _VIEWS}
        cells = {tense: {person.value: self[tense, person] for person in _PEOPLE} for tense in Tense}
        return {
            "infinitive": self.infinitive,
            "verb_type": self.verb_type.value,
            "features": list(self.features),
            "gerund": list(self.gerund),
            "past_participle": list(self.past_participle),
            "forms": forms,
            "rules": {
                tense.value: {person: cell.rule for person, cell in row.items() if cell.forms}
                for tense, row in cells.items()
            },
            "notes": {
                tense.value: {person: list(cell.notes) for person, cell in row.items() if cell.notes}
                for tense, row in cells.items()
                if any(cell.notes for cell in row.values())
            },
        }


def conjugate(
    infinitive: str, *, without: frozenset[Rule] = frozenset(), over: frozenset[Rule] = frozenset()
) -> Paradigm:
    """All forms of an infinitive, reflexive ones too; raises `NotAVerb` for what is none.

    `without` switches rules off, and `over` applies a rule (the stem change) where it does not hold: both give the
    forms of a learner's error.
    """
    return Paradigm(_Verb(_checked(infinitive), without, over))


_INFINITIVE = re.compile(r"[a-zñáéíóúü]*(?:[aei]r|ír)(?:se)?")


def _checked(given: str) -> str:
    text = unicodedata.normalize("NFC", given).strip().lower()
    base = text.removesuffix("se")
    if not text:
        raise NotAVerb("There is no verb: give an infinitive such as hablar.")
    vowels = sum(letter in "aeiouáéíóúü" for letter in base)
    if not _INFINITIVE.fullmatch(text) or (vowels < 2 and base not in {"ir", "dar", "ser", "ver"}):
        raise NotAVerb(f"“{given}” is no Spanish infinitive: one ends in -ar, -er or -ir, as hablar, ser, irse do.")
    return text


def recognise(form: str, paradigms: Iterable[Paradigm]) -> list[Reading]:
    """Every cell of the paradigms that a form fills, in the order of the verbs, tenses and persons."""
    text = " ".join(unicodedata.normalize("NFC", form).lower().split())
    return [
        Reading(paradigm.infinitive, Tense(tense), Person(person), text)
        for paradigm in paradigms
        for tense, persons in paradigm.forms().items()
        for person, forms in persons.items()
        if text in forms
    ]


# Endings

_PRESENT = {
    "ar": ("o", "as", "a", "amos", "áis", "an"),
    "er": ("o", "es", "e", "emos", "éis", "en"),
    "ir": ("o", "es", "e", "imos", "ís", "en"),
}
_SUBJUNCTIVE = {"ar": ("e", "es", "e", "emos", "éis", "en"), "er": ("a", "as", "a", "amos", "áis", "an")}
_SUBJUNCTIVE["ir"] = _SUBJUNCTIVE["er"]
_PRETERITE = {
    "ar": ("é", "aste", "ó", "amos", "asteis", "aron"),
    "er": ("í", "iste", "ió", "imos", "isteis", "ieron"),
}
_PRETERITE["ir"] = _PRETERITE["er"]
_STRONG = ("e", "iste", "o", "imos", "isteis", "ieron")
_IMPERFECT = {
    "ar": ("aba", "abas", "aba", "ábamos", "abais", "aban"),
    "er": ("ía", "ías", "ía", "íamos", "íais", "ían"),
}
_IMPERFECT["ir"] = _IMPERFECT["er"]
_FUTURE = ("é", "ás", "á", "emos", "éis", "án")
_CONDITIONAL = ("ía", "ías", "ía", "íamos", "íais", "ían")
_RA, _SE, _RE = (
    tuple(f"{letters}{ending}" for ending in ("", "s", "", "mos", "is", "n")) for letters in ("ra", "se", "re")
)
_ACUTE = {"a": "á", "e": "é", "i": "í", "o": "ó", "u": "ú"}
_GRAVE = {acute: plain for plain, acute in _ACUTE.items()}
_PRONOUNS = ("me", "te", "se", "nos", "os", "se")

_HABER = {
    Tense.PRESENT_PERFECT_SUBJUNCTIVE: (("haya", "hayas", "haya", "hayamos", "hayáis", "hayan"),),
    Tense.PLUPERFECT_SUBJUNCTIVE: (
        ("hubiera", "hubieras", "hubiera", "hubiéramos", "hubierais", "hubieran"),
        ("hubiese", "hubieses", "hubiese", "hubiésemos", "hubieseis", "hubiesen"),
    ),
    Tense.FUTURE_PERFECT_SUBJUNCTIVE: (("hubiere", "hubieres", "hubiere", "hubiéremos", "hubiereis", "hubieren"),),
    Tense.PRESENT_PERFECT_INDICATIVE: (("he", "has", "ha", "hemos", "habéis", "han"),),
    Tense.PLUPERFECT_INDICATIVE: (("había", "habías", "había", "habíamos", "habíais", "habían"),),
    Tense.PRETERITE_PERFECT_INDICATIVE: (("hube", "hubiste", "hubo", "hubimos", "hubisteis", "hubieron"),),
    Tense.FUTURE_PERFECT_INDICATIVE: (("habré", "habrás", "habrá", "habremos", "habréis", "habrán"),),
    Tense.CONDITIONAL_PERFECT_INDICATIVE: (("habría", "habrías", "habría", "habríamos", "habríais", "habrían"),),
}


# Irregular models


class _Model(NamedTuple):
    """What is irregular in a verb and in those that are made of it with a prefix; what is None is regular."""

    yo: str | None = None
    present: tuple[str, ...] | None = None
    subjunctive: str | tuple[str, ...] | None = None
    """A stem for all persons, or the six forms."""
    preterite: str | tuple[str, ...] | None = None
    """A strong stem, or the six forms."""
    imperfect: tuple[str, ...] | None = None
    future: str | None = None
    tu: tuple[str, ...] | None = None
    gerund: str | None = None
    participle: str | None = None
    stressed: str | None = None
    """The stem of the stressed persons of the present indicative."""


_FUI = ("fui", "fuiste", "fue", "fuimos", "fuisteis", "fueron")
_SEA = ("sea", "seas", "sea", "seamos", "seáis", "sean")
_MODELS: dict[str, _Model] = {
    "tener": _Model("tengo", None, "teng", "tuv", None, "tendr", ("ten",), None, None, "tien"),
    "venir": _Model("vengo", None, "veng", "vin", None, "vendr", ("ven",), "viniendo", None, "vien"),
    "poner": _Model("pongo", None, "pong", "pus", None, "pondr", ("pon",), None, "puesto"),
    "hacer": _Model(
        "hago", None, "hag", ("hice", "hiciste", "hizo", "hicimos", "hicisteis", "hicieron"), None, "har",
        ("haz",), None, "hecho",
    ),
    "satisfacer": _Model(
        "satisfago", None, "satisfag",
        ("satisfice", "satisficiste", "satisfizo", "satisficimos", "satisficisteis", "satisficieron"), None,
        "satisfar", ("satisfaz", "satisface"), None, "satisfecho",
    ),
    "decir": _Model("digo", None, "dig", "dij", None, "dir", ("di",), "diciendo", "dicho", "dic"),
    "predecir": _Model("predigo", None, "predig", "predij", None, None, None, "prediciendo", "predicho", "predic"),
    "contradecir": _Model(
        "contradigo", None, "contradig", "contradij", None, "contradir", None, "contradiciendo", "contradicho",
        "contradic",
    ),
    "bendecir": _Model("bendigo", None, "bendig", "bendij", None, None, None, "bendiciendo", None, "bendic"),
    "traer": _Model("traigo", None, "traig", "traj"),
    "caer": _Model("caigo", None, "caig"),
    "oír": _Model("oigo", None, "oig", None, None, None, None, None, None, "oy"),
    "ver": _Model(
        None, ("veo", "ves", "ve", "vemos", "veis", "ven"), ("vea", "veas", "vea", "veamos", "veáis", "vean"),
        ("vi", "viste", "vio", "vimos", "visteis", "vieron"), ("veía", "veías", "veía", "veíamos", "veíais", "veían"),
        None, ("ve",), None, "visto",
    ),
    "prever": _Model(
        None, ("preveo", "prevés", "prevé", "prevemos", "prevéis", "prevén"),
        ("prevea", "preveas", "prevea", "preveamos", "preveáis", "prevean"),
        ("preví", "previste", "previó", "previmos", "previsteis", "previeron"),
        ("preveía", "preveías", "preveía", "preveíamos", "preveíais", "preveían"), None, ("prevé",), None, "previsto",
    ),
    "salir": _Model("salgo", None, "salg", None, None, "saldr", ("sal",)),
    "valer": _Model("valgo", None, "valg", None, None, "valdr"),
    "querer": _Model(None, None, None, "quis", None, "querr"),
    "poder": _Model(None, None, None, "pud", None, "podr", None, "pudiendo"),
    "saber": _Model("sé", None, "sep", "sup", None, "sabr"),
    "caber": _Model("quepo", None, "quep", "cup", None, "cabr"),
    "haber": _Model(
        None, ("he", "has", "ha", "hemos", "habéis", "han"), "hay", "hub", None, "habr", (), None, None
    ),
    "ser": _Model(
        None, ("soy", "eres", "es", "somos", "sois", "son"), _SEA, _FUI,
        ("era", "eras", "era", "éramos", "erais", "eran"), None, ("sé",),
    ),
    "ir": _Model(
        None, ("voy", "vas", "va", "vamos", "vais", "van"), "vay", _FUI,
        ("iba", "ibas", "iba", "íbamos", "ibais", "iban"), None, ("ve",), "yendo",
    ),
    "estar": _Model(
        None, ("estoy", "estás", "está", "estamos", "estáis", "están"),
        ("esté", "estés", "esté", "estemos", "estéis", "estén"), "estuv", None, None, ("está",),
    ),
    "dar": _Model(
        None, ("doy", "das", "da", "damos", "dais", "dan"), ("dé", "des", "dé", "demos", "deis", "den"),
        ("di", "diste", "dio", "dimos", "disteis", "dieron"),
    ),
    "andar": _Model(None, None, None, "anduv"),
    "asir": _Model("asgo", None, "asg"),
    "yacer": _Model("yazco", None, "yazc"),
    "placer": _Model("plazco", None, "plazc"),
    "roer": _Model(),
    "raer": _Model("raigo", None, "raig"),
}  # fmt: skip
_MODEL_OF: dict[str, str] = {verb: base for base, family in tables.FAMILIES.items() for verb in (base, *family)} | {
    base: base for base in _MODELS
}
_VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "yacer": ({"yo": "yazgo", "subjunctive": "yazg", "tu": ("yaz",)}, {"yo": "yago", "subjunctive": "yag"}),
    "roer": ({"yo": "roigo", "subjunctive": "roig"}, {"yo": "royo", "subjunctive": "roy"}),
    "raer": ({"yo": "rayo", "subjunctive": "ray"},),
    "placer": (
        {"preterite": ("plací", "placiste", "plugo", "placimos", "placisteis", "pluguieron")},
        {"subjunctive": ("", "", "plega", "", "", "")},
        {"subjunctive": ("", "", "plegue", "", "", "")},
    ),
    "predecir": ({"future": "predir"},),
    "contradecir": ({"future": "contradecir"},),
}
"""Other forms that are as right, after the first model's."""


# Building

Row = list[tuple[str, ...]]


@lru_cache(maxsize=4096)
def _split(infinitive: str) -> tuple[str, str, str, bool]:
    """The verb without its pronoun, its stem and ending, and whether it has a pronoun."""
    reflexive = infinitive.endswith("se")
    base = infinitive[:-2] if reflexive else infinitive
    base = tables.SAME_AS.get(base, base)
    return base, base[:-2], base[-2:].replace("í", "i"), reflexive


class _Verb:
    """The forms of one verb while they are made."""

    def __init__(self, infinitive: str, without: frozenset[Rule], over: frozenset[Rule]) -> None:
        self.infinitive = infinitive
        self.base, self.stem, self.ending, self.is_reflexive = _split(infinitive)
        self.known = _listed(self.base)
        self.without, self.over = without, over
        self.notes: dict[tuple[Tense, Person], list[str]] = {}
        self.model = None if Rule.IRREGULAR in without else _model_of(self.base, self.known)
        self.pattern = _pattern_of(self.known)
        self.raises = self.known in _RAISED
        self.participles = self._participles()
        self.cells = self._all_cells()

    # What it is

    @cached_property
    def described(self) -> tuple[VerbType, tuple[str, ...]]:
        """The least regular class that applies, and what makes it so."""
        base, features, kind = self.base, [], VerbType.REGULAR
        if joint := _joint_feature(base):
            features.append(joint)
        if self.has_stressed_weak_vowel:
            features.append(f"stressed weak vowel: {_accented(self.stem)}-")
        if self._has_y_between_vowels:
            features.append("y between vowels: -yó, -yera, -yendo")
        if features:
            kind = VerbType.SPELLING_CHANGING
        if self.pattern:
            features.append(f"stem change {self.pattern.replace('_', '→')} when stressed")
            if self.raises:
                vowel = "o→u" if self.known in tables.UE_U else "e→i"
                features.append(f"raising {vowel} in the preterite, the gerund and the imperfect subjunctive")
            kind = VerbType.STEM_CHANGING
        if irregular := list(self._irregularities()):
            features.extend(irregular)
            kind = VerbType.IRREGULAR
        if not features:
            features.append(f"regular -{self.ending}: the subjunctive takes {'-e-' if self.ending == 'ar' else '-a-'}")
        return kind, tuple(features)

    @property
    def _has_y_between_vowels(self) -> bool:
        strong = self.model is not None and self.model.preterite is not None
        return self.ending != "ar" and self.stem.endswith(tuple("aeo")) and not (strong or self.base.endswith("eír"))

    def _irregularities(self) -> Iterator[str]:
        base, model = self.known, _MODEL_OF.get(self.known)
        if self.takes_zc:
            yield "-zc- before a and o"
        if self.takes_y:
            yield "-y- before a, e and o"
        if self.is_ducir:
            yield "strong preterite stem -duj-"
        if model:
            yield f"irregular as {model}" if model != base else "irregular, a model of its own"
        if base == "erguir":
            yield "ye- or i- under stress"
        if base in tables.PARTICIPLES:
            yield f"irregular participle {self.participles[0]}"

    @cached_property
    def has_stressed_weak_vowel(self) -> bool:
        """Envíe, actúe, prohíba; verbs in -uar by rule, but for -cuar and -guar."""
        in_uar = self.base.endswith("uar") and self.base[-4:-3] not in ("c", "g") and len(self.stem) > 1
        by_ending = (
            self.base.endswith(("grafiar", "aizar", "eizar", "oizar")) and self.known not in tables.HIATUS_OR_NOT
        )
        return in_uar or by_ending or self.known in tables.STRESSED_I or self.known in tables.HIATUS

    @cached_property
    def is_ducir(self) -> bool:
        """Conduzco, conduje: every verb in -ducir."""
        return self.base.endswith("ducir")

    @cached_property
    def takes_zc(self) -> bool:
        """Conozco: -cer and -cir after a vowel, but for those that are listed."""
        base = self.base
        return (
            base.endswith(("cer", "cir"))
            and base[-4:-3] in tuple("aeous")
            and self.known not in tables.PLAIN_C
            and self.known not in _MODEL_OF
        )

    @cached_property
    def takes_y(self) -> bool:
        """Construyo: -uir and -üir, where the u is heard."""
        return self.base.endswith(("uir", "üir")) and not self.base.endswith(("guir", "quir"))

    def rule(self, tense: Tense, person: Person) -> str:
        """What made the forms of a cell, in words."""
        if tense in _HABER:
            irregular = self.participles[0] != self._regular_participle
            return f"haber and the participle {self.participles[0]}{', irregular' if irregular else ''}"
        return "; ".join(self._reasons(tense, person)) or f"regular -{self.ending} endings"

    def _reasons(self, tense: Tense, person: Person) -> Iterator[str]:
        present, past = tense in _OF_PRESENT_STEM, tense in _OF_PAST_STEM
        stressed = _POSITION[person] in _STRESSED
        if self.model is not None and tense is not Tense.IMPERFECT_INDICATIVE:
            yield f"irregular (model {_MODEL_OF[self.known]})"
        if self.pattern and ((present and (stressed or self.raises)) or (past and self.raises)):
            yield f"stem change {self.pattern.replace('_', '→')} (table {_table_of(self.known)})"
        if self.takes_zc and self._has_other_vowel(tense, person):
            yield "-zc- before a and o"
        in_present = present and (stressed or tense is not Tense.PRESENT_INDICATIVE) and person is not Person.VOSOTROS
        if self.takes_y and (in_present or tense in _SUBJUNCTIVES or (past and person in (Person.EL, Person.ELLOS))):
            yield "-y- between u and a, e or o"
        if self.is_ducir and past:
            yield "strong preterite in -duj-"
        if present and stressed and self.has_stressed_weak_vowel:
            yield "the weak vowel is stressed and takes an accent"
        joint = _joint_feature(self.base)
        if joint and self._has_other_vowel(tense, person):
            yield joint

    def _has_other_vowel(self, tense: Tense, person: Person) -> bool:
        """Whether the ending begins with the vowel that the infinitive does not have: busque, busqué, no busques."""
        if tense in (Tense.PRESENT_SUBJUNCTIVE, Tense.IMPERATIVE_NEGATIVE):
            return True
        if tense is Tense.IMPERATIVE_AFFIRMATIVE:
            return person in (Person.EL, Person.NOSOTROS, Person.ELLOS)
        return person is Person.YO and tense is (
            Tense.PRETERITE_INDICATIVE if self.ending == "ar" else Tense.PRESENT_INDICATIVE
        )

    # Principal parts

    def _participles(self) -> list[str]:
        if Rule.PARTICIPLE not in self.without:
            if self.known in tables.PARTICIPLES:
                prefix = self.base.removesuffix(self.known)
                return [prefix + participle for participle in tables.PARTICIPLES[self.known]]
            model = _model_of(self.base, self.known)
            if model is not None and model.participle:
                return [model.participle]
        return [self._regular_participle]

    @property
    def _regular_participle(self) -> str:
        if self.ending == "ar":
            return f"{self.stem}ado"
        return self.stem + _after_vowel(self.stem, "ido")

    def _all_cells(self) -> dict[Tense, Row]:
        parts = [_Parts(self, option) for option in self._options()]
        self.gerunds: list[str] = list(dict.fromkeys(part.gerund for part in parts))
        cells = _merged([part.cells() for part in parts])
        cells |= self._compound()
        self._older_spellings(cells)
        self._leave_out(cells)
        if self.is_reflexive:
            self._make_reflexive(cells)
            self.gerunds = [_attached(gerund, "se") for gerund in self.gerunds]
        return {tense: cells[tense] for tense in _TENSES}

    def _either_stem(self, stem_change: bool, accent: bool) -> tuple[str, ...]:
        """The two stems under stress of a verb that has two, the usual one first; else none."""
        base, stem = self.known, self.stem
        if stem_change and base in tables.ALSO_REGULAR and self.pattern:
            return _changed(stem, self.pattern), stem
        if stem_change and base in tables.ALSO_E_IE:
            return stem, _changed(stem, StemChangePattern.E_IE)
        if stem_change and base in tables.ALSO_O_UE:
            return stem, _changed(stem, StemChangePattern.O_UE)
        if accent and (base in tables.STRESSED_I_OR_NOT or base in tables.STRESSED_U_OR_NOT):
            return _accented(stem), stem
        if accent and (base in tables.PLAIN_I_OR_STRESSED or base in tables.HIATUS_OR_NOT):
            return stem, _accented(stem)
        return ()

    def _options(self) -> list[_Option]:
        """The ways to conjugate it that are all right, the usual one first."""
        base, accent = self.known, Rule.ACCENT not in self.without
        stem_change = Rule.STEM_CHANGE not in self.without
        if base == "erguir" and stem_change:
            return [_Option(stem="yergu", weak="irgu"), _Option(stem="irgu", weak="yergu")]
        if stems := self._either_stem(stem_change, accent):
            return [_Option(stem=stem) for stem in stems]
        options = [_Option(model=self.model)]
        name = _MODEL_OF.get(base)
        if self.model is not None and name in _VARIANTS:
            for changes in _VARIANTS[name]:
                variant = _MODELS[name]._replace(**changes)
                options.append(_Option(model=_prefixed(variant, _prefix(self.base, name), name)))
        return options

    def stressed_stem(self) -> str:
        """The stem of the persons whose present is stressed on it."""
        base, stem = self.base, self.stem
        if Rule.STEM_CHANGE not in self.without and self.pattern:
            changed = _changed(stem, self.pattern)
            # Río, rehíncha: the i that is left is stressed beside another vowel.
            return (
                _accented(changed)
                if base.endswith("eír") or (self.pattern is StemChangePattern.E_I and "ehi" in changed)
                else changed
            )
        if Rule.ACCENT not in self.without and self.has_stressed_weak_vowel:
            return _accented(stem)
        return stem

    # Finishing

    def _compound(self) -> dict[Tense, Row]:
        # Joined to each auxiliary once: these are two thirds of all forms.
        joined = [
            [[f"{auxiliary} {participle}" for auxiliary in row] for participle in self.participles for row in rows]
            for rows in _HABER.values()
        ]
        return {tense: list(zip(*rows, strict=True)) for tense, rows in zip(_HABER, joined, strict=True)}

    def _older_spellings(self, cells: dict[Tense, Row]) -> None:
        """One syllable in writing has no accent since 2010: guie, rio, crieis; the accent is still accepted."""
        if len(self.stem) > 4 or Rule.SPELLING in self.without:
            return
        for tense, numbers in _MAY_BE_ONE_SYLLABLE:
            row = cells[tense]
            for number in numbers:
                found: list[str] = []
                for form in row[number]:
                    plain = _one_syllable(form)
                    found += [plain, form] if plain else [form]
                    if plain:
                        self.notes.setdefault((tense, _PEOPLE[number]), []).append(f"older spelling: {form}")
                row[number] = tuple(found)
        vosotros = cells[Tense.PRESENT_SUBJUNCTIVE][4]
        cells[Tense.IMPERATIVE_NEGATIVE][4] = tuple(f"no {form}" for form in vosotros)

    def _leave_out(self, cells: dict[Tense, Row]) -> None:
        """Empty what a defective verb does not have; of the weather, everything is kept for figurative use."""
        if self.known in tables.ONLY_I:
            for tense, kept in _WITH_I.items():
                cells[tense] = _only(kept, cells[tense])
        if self.known in tables.THIRD_PERSON:
            cells |= {tense: _only((2, 5), row) for tense, row in cells.items()}
        gone = _IMPERATIVES if self.known in _WITHOUT_IMPERATIVE else ()
        for tense in gone + (_FUTURES if self.known in tables.NO_FUTURE else ()):
            cells[tense] = [()] * 6
        usual: tuple[Person, ...] = (Person.EL,)
        note = "figurative use only"
        if self.known in tables.MOSTLY_THIRD:
            usual, note = (Person.EL, Person.ELLOS), "rare: used in the third person"
        elif self.known not in tables.IMPERSONAL:
            return
        for tense in cells:
            for person in _PEOPLE:
                if person not in usual:
                    self.notes.setdefault((tense, person), []).append(note)

    def _make_reflexive(self, cells: dict[Tense, Row]) -> None:
        for tense, row in cells.items():
            if tense is Tense.IMPERATIVE_AFFIRMATIVE:
                cells[tense] = [self._enclitic(number, forms) for number, forms in enumerate(row)]
            elif tense is Tense.IMPERATIVE_NEGATIVE:
                cells[tense] = [
                    tuple(f"no {pronoun} {form[3:]}" for form in forms)
                    for pronoun, forms in zip(_PRONOUNS, row, strict=True)
                ]
            else:
                cells[tense] = [
                    tuple(f"{pronoun} {form}" for form in forms) for pronoun, forms in zip(_PRONOUNS, row, strict=True)
                ]

    def _enclitic(self, number: int, forms: tuple[str, ...]) -> tuple[str, ...]:
        pronoun = _PRONOUNS[number]
        if number == 3:  # sentemos + nos: the s goes
            return tuple(_attached(form[:-1], pronoun) for form in forms)
        if number == 4:  # sentad + os: the d goes, but for idos
            # Iros is accepted since 2018, for this verb alone.
            return ("idos", "iros") if forms == ("id",) else tuple(_attached(f[:-1], pronoun, last=True) for f in forms)
        return tuple(_attached(form, pronoun) for form in forms)


class _Option(NamedTuple):
    """One of the right ways: a model, or the stem of the stressed persons."""

    model: _Model | None = None
    stem: str | None = None
    weak: str | None = None
    """The stem of nosotros and vosotros in the present subjunctive, where it is another than the raised one."""


class _Parts:
    """The simple tenses of a verb, made in one way."""

    def __init__(self, verb: _Verb, option: _Option) -> None:
        self.verb, self.model = verb, option.model or _Model()
        self.stressed = option.stem or verb.stressed_stem()
        self.unstressed = verb.stem
        if Rule.STEM_CHANGE in verb.over and verb.pattern and Rule.STEM_CHANGE not in verb.without:
            self.unstressed = self.stressed
        self.raised = self._raised()
        self.weak = option.weak or (self.raised if verb.raises else self.unstressed)
        self.preterite = self._preterite()
        self.gerund = self.model.gerund or self._gerund()

    def _raised(self) -> str:
        verb = self.verb
        if Rule.STEM_CHANGE in verb.over and verb.pattern:
            return self.unstressed
        if not verb.raises or Rule.STEM_CHANGE in verb.without:
            return verb.stem
        return _changed(verb.stem, StemChangePattern.O_U if verb.known in tables.UE_U else StemChangePattern.E_I)

    def cells(self) -> dict[Tense, Row]:
        subjunctive, present = self._subjunctive(), self._present()
        third = self.preterite[5]
        root = third[:-3] if third else ""
        early = root[:-1] + _ACUTE.get(root[-1:], root[-1:])
        past = [
            [f"{early if number == 3 else root}{ending}" if root else "" for number, ending in enumerate(endings)]
            for endings in (_RA, _SE, _RE)
        ]
        future = self.model.future or self.verb.base.replace("í", "i")
        imperfect = self.model.imperfect or self._imperfect()
        affirmative, negative = self._imperative(present, subjunctive)
        return {
            Tense.PRESENT_SUBJUNCTIVE: _row(subjunctive),
            Tense.IMPERFECT_SUBJUNCTIVE: [tuple(filter(None, pair)) for pair in zip(past[0], past[1], strict=True)],
            Tense.FUTURE_SUBJUNCTIVE: _row(past[2]),
            Tense.PRESENT_INDICATIVE: _row(present),
            Tense.PRETERITE_INDICATIVE: _row(self.preterite),
            Tense.IMPERFECT_INDICATIVE: _row(imperfect),
            Tense.FUTURE_INDICATIVE: _row([future + ending for ending in _FUTURE]),
            Tense.CONDITIONAL_INDICATIVE: _row([future + ending for ending in _CONDITIONAL]),
            Tense.IMPERATIVE_AFFIRMATIVE: affirmative,
            Tense.IMPERATIVE_NEGATIVE: negative,
        }

    def _before_a_and_o(self, stem: str) -> str:
        """The stem as it is before the a and o of -er and -ir verbs: conozc-, construy-."""
        verb = self.verb
        if Rule.IRREGULAR in verb.without:
            return stem
        if verb.takes_zc:
            return f"{stem[:-1].removesuffix('s')}zc"  # fosforescer: fosforezca
        return _with_y(stem) if verb.takes_y else stem

    def _present(self) -> Sequence[str]:
        verb, model = self.verb, self.model
        if model.present:
            return model.present
        stressed = model.stressed or self.stressed
        plain = Rule.IRREGULAR in verb.without
        forms = []
        for number, ending in enumerate(_PRESENT[verb.ending]):
            if number == 0:
                forms.append(model.yo or _joint(self._before_a_and_o(self.stressed), ending, verb))
            elif number in _STRESSED:
                stem = _with_y(stressed) if verb.takes_y and not plain else stressed
                forms.append(_joint(stem, ending, verb))
            else:
                forms.append(self.unstressed + _after_vowel(self.unstressed, ending))
        return forms

    def _subjunctive(self) -> Sequence[str]:
        verb, model = self.verb, self.model
        if isinstance(model.subjunctive, tuple):
            return model.subjunctive
        endings = _SUBJUNCTIVE[verb.ending]
        if model.subjunctive:
            return [model.subjunctive + ending for ending in endings]
        return [
            _joint(self._before_a_and_o(self.stressed if number in _STRESSED else self.weak), ending, verb)
            for number, ending in enumerate(endings)
        ]

    def _preterite(self) -> Sequence[str]:
        verb, model = self.verb, self.model
        if isinstance(model.preterite, tuple):
            return model.preterite
        strong = model.preterite
        if strong is None and verb.is_ducir and Rule.IRREGULAR not in verb.without:
            strong = f"{verb.stem[:-1]}j"
        if strong:
            return [
                strong + (ending[1:] if ending == "ieron" and strong.endswith("j") else ending) for ending in _STRONG
            ]
        if verb.ending == "ar":
            return [_joint(self.unstressed, ending, verb) for ending in _PRETERITE["ar"]]
        forms = []
        for number, ending in enumerate(_PRETERITE[verb.ending]):
            if number in (2, 5):
                forms.append(self._third(ending))
            else:
                forms.append(self.unstressed + _after_vowel(self.unstressed, ending))
        return forms

    def _third(self, ending: str) -> str:
        """-ió and -ieron, and the gerund's -iendo: the i becomes y between vowels, and goes after ñ, ll and i."""
        stem = self.raised
        if Rule.SPELLING in self.verb.without:
            return stem + ending
        if stem.endswith(("ñ", "ll")):
            return stem + ending[1:]
        if stem.endswith("i") and self.verb.base.endswith("eír"):
            return stem + ending[1:]
        if stem.endswith(tuple("aeo")) or self.verb.takes_y:
            return stem.replace("ü", "u") + "y" + ending[1:] if self.verb.takes_y else stem + "y" + ending[1:]
        return stem + ending

    def _gerund(self) -> str:
        return f"{self.verb.stem}ando" if self.verb.ending == "ar" else self._third("iendo")

    def _imperfect(self) -> Sequence[str]:
        return [self.verb.stem + ending for ending in _IMPERFECT[self.verb.ending]]

    def _imperative(self, present: Sequence[str], subjunctive: Sequence[str]) -> tuple[Row, Row]:
        verb, model = self.verb, self.model
        tu = model.tu if model.tu is not None else (present[2],)
        vosotros = f"{verb.base[:-1]}d"
        nosotros = ("vamos", subjunctive[3]) if verb.base == "ir" else (subjunctive[3],)
        if verb.base == "ir" and verb.is_reflexive:
            nosotros = ("vamos", subjunctive[3])
        affirmative: Row = [(), tuple(tu), (subjunctive[2],), nosotros, (vosotros,), (subjunctive[5],)]
        negative: Row = [(), *((f"no {form}",) for form in subjunctive[1:])]
        return affirmative, negative


def _only(persons: tuple[int, ...], row: Row) -> Row:
    return [forms if number in persons else () for number, forms in enumerate(row)]


def _row(forms: Sequence[str]) -> Row:
    return [(form,) if form else () for form in forms]


def _merged(options: Sequence[dict[Tense, Row]]) -> dict[Tense, Row]:
    first = options[0]
    for other in options[1:]:
        for tense, row in other.items():
            first[tense] = [
                tuple(dict.fromkeys((*mine, *theirs))) for mine, theirs in zip(first[tense], row, strict=True)
            ]
    return first


# Spelling


def _joint(stem: str, ending: str, verb: _Verb) -> str:
    """Stem and ending as they are written together: the sound stays, the letter changes."""
    if Rule.SPELLING in verb.without:
        return stem + ending
    return _joined(stem, ending, verb.ending) + ending


# What the stem ends in, and how that is written before the other kind of vowel; the longer ones first.
_BEFORE_E = (("gu", "gü"), ("c", "qu"), ("g", "gu"), ("z", "c"))
_BEFORE_A = (("zc", "zc"), ("gu", "g"), ("qu", "c"), ("c", "z"), ("g", "j"))


def _joined(stem: str, ending: str, kind: str) -> str:
    changes: tuple[tuple[str, str], ...] = _BEFORE_E if kind == "ar" and ending[0] in "eé" else ()
    if kind != "ar" and ending[0] in "aáo":
        changes = _BEFORE_A
    for letters, written in changes:
        if stem.endswith(letters):
            return stem[: -len(letters)] + written
    return stem


def _joint_feature(base: str) -> str | None:
    stem, kind, known = base[:-2], base[-2:].replace("í", "i"), _listed(base)
    if kind != "ar" and known in _MODEL_OF:
        return None
    if kind != "ar" and stem.endswith("c") and known not in tables.PLAIN_C and stem[-2:-1] in tuple("aeou"):
        return None
    for letters, written in _BEFORE_E if kind == "ar" else _BEFORE_A:
        if stem.endswith(letters):
            return f"spelling {letters}→{written} before {'e' if kind == 'ar' else 'a and o'}"
    return None


def _after_vowel(stem: str, ending: str) -> str:
    """An i after a, e or o is stressed by itself: leíste, oímos, caído."""
    if ending[0] == "i" and stem.endswith(tuple("aeo")):
        return f"í{ending[1:]}"
    return ending


def _with_y(stem: str) -> str:
    return f"{stem.replace('ü', 'u')}y"


def _changed(stem: str, pattern: StemChangePattern) -> str:
    """The stem with its last vowel of that kind changed: empiez-, huel-, degüell-, yerr-."""
    old, new = pattern.split("_")
    if stem == "desos":
        return "deshues"  # of hueso, whose h comes back
    at = stem.rfind(old)
    if at < 0:
        return stem
    if at == 0:
        new = {"ie": "ye", "ue": "hue"}.get(new, new)
    elif new == "ue" and stem[at - 1] == "g":
        new = "üe"
    elif new == "i" and stem.endswith("e"):
        return f"{stem[:at]}i"
    return stem[:at] + new + stem[at + 1 :]


def _accented(stem: str) -> str:
    """The stem with an accent on its last weak vowel: enví-, prohíb-, reún-, actú-."""
    if stem == "desahuci":
        return "desahúci"  # the hiatus is the other one
    for at in range(len(stem) - 1, -1, -1):
        if stem[at] in "iu" and not (
            stem[at] == "u" and stem[at - 1 : at] in ("q", "g") and stem[at + 1 : at + 2] in ("e", "i")
        ):
            return stem[:at] + _ACUTE[stem[at]] + stem[at + 1 :]
    return stem


_MAY_BE_ONE_SYLLABLE = (
    (Tense.PRESENT_SUBJUNCTIVE, (4,)),
    (Tense.PRESENT_INDICATIVE, (4,)),
    (Tense.PRETERITE_INDICATIVE, (0, 2)),
)
_SYLLABLE = re.compile(r"[^aeiouáéíóúü]*(?:gu|qu)?(?:[iu][áéó](?:is)?|uí(?:s)?)")


def _one_syllable(form: str) -> str | None:
    """The form without its accent when it is one syllable in writing; None when it is not."""
    if not _SYLLABLE.fullmatch(form):
        return None
    return "".join(_GRAVE.get(letter, letter) for letter in form)


# Accents of words with a pronoun behind


def _nuclei(word: str) -> list[int]:
    """Where the vowel of each syllable stands, that which carries the stress."""
    found: list[int] = []
    strong, at = "aeoáéóíú", 0
    while at < len(word):
        letter = word[at]
        silent = letter == "u" and word[at - 1 : at] in ("q", "g") and word[at + 1 : at + 2] in tuple("eéií")
        if letter not in "aeiouáéíóúü" or silent:
            at += 1
            continue
        carrier, end = at, at + 1
        while end < len(word) and word[end] in "aeiouáéíóúü":
            both = word[carrier] in strong and word[end] in strong
            if both or word[end] in "íú" or word[carrier] in "íú":
                break
            if word[end] in strong or word[carrier] not in strong:
                carrier = end
            end += 1
        found.append(carrier)
        at = end
    return found


def _attached(form: str, pronoun: str, *, last: bool = False) -> str:
    """A form with a pronoun behind it, its accent written as the longer word needs it.

    `last`: the form is stressed on its last vowel, as what is left of an imperative in -d.
    """
    plain = "".join(_GRAVE.get(letter, letter) for letter in form)
    nuclei = _nuclei(form)
    accented = next((at for at, letter in enumerate(form) if letter in _GRAVE), None)
    if last:
        stress = nuclei[-1]
    elif accented is not None:
        stress = accented
    elif form[-1] in "aeiouns" and len(nuclei) > 1:
        stress = nuclei[-2]
    else:
        stress = nuclei[-1]
    word = plain + pronoun
    marked = word[:stress] + _ACUTE[word[stress]] + word[stress + 1 :]
    # Counted with the accent: it parts a weak vowel from a strong one.
    after = sum(at > stress for at in _nuclei(marked))
    beside = word[stress] in "iu" and (
        word[stress + 1 : stress + 2] in tuple("aeo") or word[stress - 1 : stress] in tuple("aeo")
    )
    if after >= 2 or beside or (after == 1 and word[-1] not in "aeiouns") or (after == 0 and word[-1] in "aeiouns"):
        return marked
    return word


# Looking up

_OF_PRESENT_STEM = (
    Tense.PRESENT_SUBJUNCTIVE, Tense.PRESENT_INDICATIVE, Tense.IMPERATIVE_AFFIRMATIVE, Tense.IMPERATIVE_NEGATIVE,
)  # fmt: skip
_OF_PAST_STEM = (Tense.IMPERFECT_SUBJUNCTIVE, Tense.FUTURE_SUBJUNCTIVE, Tense.PRETERITE_INDICATIVE)
_SUBJUNCTIVES = (Tense.PRESENT_SUBJUNCTIVE, Tense.IMPERFECT_SUBJUNCTIVE, Tense.FUTURE_SUBJUNCTIVE)
_IMPERATIVES = (Tense.IMPERATIVE_AFFIRMATIVE, Tense.IMPERATIVE_NEGATIVE)
_FUTURES = (
    Tense.FUTURE_INDICATIVE, Tense.CONDITIONAL_INDICATIVE, Tense.FUTURE_SUBJUNCTIVE, Tense.FUTURE_PERFECT_INDICATIVE,
    Tense.CONDITIONAL_PERFECT_INDICATIVE, Tense.FUTURE_PERFECT_SUBJUNCTIVE,
)  # fmt: skip
_WITHOUT_IMPERATIVE = tables.THIRD_PERSON | tables.NO_FUTURE | {"haber"}
_WITH_I: dict[Tense, tuple[int, ...]] = {
    Tense.PRESENT_INDICATIVE: (3, 4), Tense.PRESENT_SUBJUNCTIVE: (), Tense.IMPERATIVE_AFFIRMATIVE: (4,),
    Tense.IMPERATIVE_NEGATIVE: (),
}  # fmt: skip
"""The persons of the tenses of which a verb with -i- endings alone lacks some."""
_RAISED = tables.IE_I | tables.I_I | tables.UE_U | {"erguir"}


_LISTED = frozenset().union(
    *(getattr(tables, name) for name in dir(tables) if isinstance(getattr(tables, name), frozenset)),
    tables.PARTICIPLES, _MODEL_OF,
)  # fmt: skip


@lru_cache(maxsize=4096)
def _listed(base: str) -> str:
    """The verb whose entries in the tables hold: itself, or what is left without a prefix that changes nothing."""
    if base not in _LISTED:
        for prefix in tables.PREFIXES:
            rest = base.removeprefix(prefix)
            # An r between vowels is doubled: autorregular, autorretratar.
            rest = rest.removeprefix("r") if rest.startswith("rr") else rest
            if rest != base and rest in _LISTED:
                return rest
    return base


@lru_cache(maxsize=4096)
def _pattern_of(base: str) -> StemChangePattern | None:
    for members, pattern in (
        (tables.E_IE, StemChangePattern.E_IE),
        (tables.O_UE, StemChangePattern.O_UE),
        (tables.IE_I, StemChangePattern.E_IE),
        (tables.I_I, StemChangePattern.E_I),
        (tables.UE_U, StemChangePattern.O_UE),
        (tables.I_IE, StemChangePattern.I_IE),
        (tables.U_UE, StemChangePattern.U_UE),
    ):
        if base in members:
            return pattern
    return None


def _table_of(base: str) -> str:
    names = ("E_IE", "O_UE", "IE_I", "I_I", "UE_U", "I_IE", "U_UE")
    return next(name.lower() for name in names if base in getattr(tables, name))


@lru_cache(maxsize=1024)
def _model_of(base: str, known: str) -> _Model | None:
    """The model of a verb that is listed as `known`, with its prefix."""
    name = _MODEL_OF.get(known)
    if name is None:
        return None
    if name == base:
        return _MODELS[base]
    return _prefixed(_MODELS[name], _prefix(base, name), name)


def _prefix(base: str, name: str) -> str:
    # contra-decir follows pre-decir: the model's own prefix goes.
    return base[: len(base) - len(_ROOTS.get(name, name))]


_ROOTS = {"predecir": "decir", "contradecir": "decir", "bendecir": "decir", "prever": "ver", "satisfacer": "facer"}


def _prefixed(model: _Model, prefix: str, name: str) -> _Model:
    cut = len(name) - len(_ROOTS[name]) if name in _ROOTS else 0

    def put(form: str | None) -> str | None:
        if not form:
            return form
        # The i of hice and hizo is stressed beside the prefix's vowel: rehíce, contrahízo.
        if form in ("hice", "hizo") and prefix[-1] in "aeo":
            form = f"hí{form[2:]}"
        return prefix + form[cut:]

    def several(forms: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if forms is None else tuple(put(form) or "" for form in forms)

    def either(value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        return several(value) if isinstance(value, tuple) else put(value)

    tu = several(model.tu)
    if tu is not None:
        tu = tuple(_stressed_last(form) for form in tu)
    return _Model(
        put(model.yo), several(model.present), either(model.subjunctive), either(model.preterite),
        several(model.imperfect), put(model.future), tu, put(model.gerund), put(model.participle), put(model.stressed),
    )  # fmt: skip


def _stressed_last(form: str) -> str:
    """Ten → detén, pon → compón: one syllable more, and the accent is written."""
    nuclei = _nuclei(form)
    if len(nuclei) < 2 or form[-1] not in "aeiouns" or any(letter in _GRAVE for letter in form):
        return form
    if form[-1] in "aeiou":
        return form
    at = nuclei[-1]
    return form[:at] + _ACUTE[form[at]] + form[at + 1 :]
