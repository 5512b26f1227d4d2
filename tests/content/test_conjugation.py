"""The forms of Spanish verbs: a gold file written from the norm, the hard cases by name, and what no text may break."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subjunctive_admin.content import verb_tables
from subjunctive_admin.content.conjugation import NotAVerb, Rule, conjugate, recognise
from subjunctive_admin.seeding import read_seeds
from subjunctive_admin.structures import VerbContent
from subjunctive_admin.vocabulary import Person, StemChangePattern, Tense, VerbType

LINES = (Path(__file__).parent / "gold" / "conjugation.tsv").read_text(encoding="utf-8").splitlines()
GOLD = [line.split("\t") for line in LINES if not line.startswith("#")]
SIMPLE = [t for t in Tense if "perfect" not in t or "imperfect" in t]


def row(infinitive: str, tense: str) -> list[str]:
    """The primary forms of a tense, those that do not exist as a dash."""
    return [(*conjugate(infinitive)[tense, person].forms, "-")[0] for person in Person]


def forms(infinitive: str, tense: str, person: str) -> tuple[str, ...]:
    return conjugate(infinitive)[tense, person].forms


# The gold file


@pytest.mark.parametrize(("infinitive", "yo", "nosotros", "imperfect", "gerund", "participle"), GOLD, ids=lambda v: v)
def test_a_verb_has_the_forms_of_the_gold_file(
    infinitive: str, yo: str, nosotros: str, imperfect: str, gerund: str, participle: str
) -> None:
    paradigm = conjugate(infinitive)
    assert (*paradigm["present_subjunctive", "yo"].forms, "-")[0] == yo
    assert (*paradigm["present_subjunctive", "nosotros"].forms, "-")[0] == nosotros
    found = " ".join(paradigm[f"imperfect_subjunctive_{view}", "yo"].forms[0] for view in ("ra", "se"))
    assert found == imperfect
    assert (paradigm.gerund[0], paradigm.past_participle[0]) == (gerund, participle)


def test_the_gold_file_has_two_hundred_verbs_and_every_model() -> None:
    verbs = {line[0] for line in GOLD}
    assert len(verbs) >= 200
    assert set(verb_tables.FAMILIES) <= verbs


def test_the_seeded_verbs_are_conjugated_as_they_are_written() -> None:
    for item in read_seeds():
        if isinstance(item.content, VerbContent):
            verb, paradigm = item.content, conjugate(item.content.infinitive)
            for tense, persons in verb.conjugations.items():
                for person, stored in persons.items():
                    assert list(paradigm[tense, person].forms) == stored, (verb.infinitive, tense, person)
            assert (paradigm.verb_type, paradigm.conjugation_class) == (verb.verb_type, verb.conjugation_class)


# Whole tenses


@pytest.mark.parametrize(
    ("infinitive", "tense", "expected"),
    [
        ("oír", "present_indicative", "oigo oyes oye oímos oís oyen"),
        ("oler", "present_indicative", "huelo hueles huele olemos oléis huelen"),
        ("reír", "present_subjunctive", "ría rías ría riamos riais rían"),
        ("reír", "preterite_indicative", "reí reíste rio reímos reísteis rieron"),
        ("sonreír", "preterite_indicative", "sonreí sonreíste sonrió sonreímos sonreísteis sonrieron"),
        ("dormir", "present_subjunctive", "duerma duermas duerma durmamos durmáis duerman"),
        ("sentir", "present_subjunctive", "sienta sientas sienta sintamos sintáis sientan"),
        ("pedir", "preterite_indicative", "pedí pediste pidió pedimos pedisteis pidieron"),
        ("concernir", "present_subjunctive", "- - concierna - - conciernan"),
        ("prever", "present_indicative", "preveo prevés prevé prevemos prevéis prevén"),
        ("detener", "imperative_affirmative", "- detén detenga detengamos detened detengan"),
        ("prohibir", "present_subjunctive", "prohíba prohíbas prohíba prohibamos prohibáis prohíban"),
        ("averiguar", "present_subjunctive", "averigüe averigües averigüe averigüemos averigüéis averigüen"),
        ("argüir", "present_indicative", "arguyo arguyes arguye argüimos argüís arguyen"),
        ("ir", "imperative_affirmative", "- ve vaya vamos id vayan"),
        ("sentarse", "imperative_affirmative", "- siéntate siéntese sentémonos sentaos siéntense"),
        ("irse", "imperative_affirmative", "- vete váyase vámonos idos váyanse"),
        ("reírse", "imperative_affirmative", "- ríete ríase riámonos reíos ríanse"),
        ("vestirse", "imperative_affirmative", "- vístete vístase vistámonos vestíos vístanse"),
        ("ponerse", "imperative_affirmative", "- ponte póngase pongámonos poneos pónganse"),
        ("hacer", "preterite_indicative", "hice hiciste hizo hicimos hicisteis hicieron"),
        ("rehacer", "preterite_indicative", "rehíce rehiciste rehízo rehicimos rehicisteis rehicieron"),
        ("deshacer", "preterite_indicative", "deshice deshiciste deshizo deshicimos deshicisteis deshicieron"),
        ("agorar", "present_subjunctive", "agüere agüeres agüere agoremos agoréis agüeren"),
        ("traer", "imperfect_subjunctive_se", "trajese trajeses trajese trajésemos trajeseis trajesen"),
        ("tener", "future_indicative", "tendré tendrás tendrá tendremos tendréis tendrán"),
        ("decir", "conditional_indicative", "diría dirías diría diríamos diríais dirían"),
        ("ser", "imperfect_indicative", "era eras era éramos erais eran"),
        ("hablar", "imperative_negative", "- no hables|no hable|no hablemos|no habléis|no hablen"),
        (
            "sentarse",
            "present_perfect_subjunctive",
            "me haya sentado|te hayas sentado|se haya sentado|nos hayamos sentado|os hayáis sentado|se hayan sentado",
        ),
    ],
)
def test_a_tense_has_these_forms(infinitive: str, tense: str, expected: str) -> None:
    wanted = expected.replace("- no", "-|no").split("|") if "|" in expected else expected.split()
    assert row(infinitive, tense) == wanted


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (("errar", "present_subjunctive", "yo"), ("yerre", "erre")),
        (("yacer", "present_subjunctive", "yo"), ("yazca", "yazga", "yaga")),
        (("roer", "present_subjunctive", "yo"), ("roa", "roiga", "roya")),
        (("adecuar", "present_subjunctive", "yo"), ("adecúe", "adecue")),
        (("auxiliar", "present_subjunctive", "yo"), ("auxilíe", "auxilie")),
        (("imprimir", "present_perfect_subjunctive", "yo"), ("haya impreso", "haya imprimido")),
        (("predecir", "future_indicative", "yo"), ("predeciré", "prediré")),
        (("irse", "imperative_affirmative", "vosotros"), ("idos", "iros")),
        (("hablar", "imperfect_subjunctive", "nosotros"), ("habláramos", "hablásemos")),
    ],
)
def test_every_right_form_is_given_the_usual_one_first(cell: tuple[str, str, str], expected: tuple[str, ...]) -> None:
    assert forms(*cell) == expected


@pytest.mark.parametrize(
    ("cell", "new", "old"),
    [
        (("guiar", "preterite_indicative", "yo"), "guie", "guié"),
        (("criar", "present_subjunctive", "vosotros"), "crieis", "criéis"),
        (("huir", "preterite_indicative", "yo"), "hui", "huí"),
    ],
)
def test_an_older_spelling_is_accepted_with_a_note(cell: tuple[str, str, str], new: str, old: str) -> None:
    found = conjugate(cell[0])[cell[1:]]
    assert (found.forms, found.notes) == ((new, old), (f"older spelling: {old}",))


def test_compound_tenses_take_haber_and_the_participle() -> None:
    assert forms("decir", "pluperfect_subjunctive", "tu") == ("hubieras dicho", "hubieses dicho")
    assert forms("volver", "conditional_perfect_indicative", "ellos") == ("habrían vuelto",)
    assert forms("hablar", "pluperfect_subjunctive_se", "yo") == ("hubiese hablado",)


def test_verbs_that_are_used_in_part_say_so() -> None:
    assert conjugate("soler").defective == "no future, conditional or imperative in use"
    assert forms("soler", "future_indicative", "yo") == ()
    assert conjugate("nevar")["present_subjunctive", "yo"].notes == ("figurative use only",)
    assert conjugate("concernir").defective == "third person only"
    assert conjugate("ocurrir")["present_subjunctive", "yo"].notes == ("rare: used in the third person",)
    assert conjugate("hablar").defective is None


# What a verb is, and why a form is as it is


@pytest.mark.parametrize(
    ("infinitive", "kind", "pattern"),
    [
        ("hablar", VerbType.REGULAR, None),
        ("buscar", VerbType.SPELLING_CHANGING, None),
        ("enviar", VerbType.SPELLING_CHANGING, None),
        ("empezar", VerbType.STEM_CHANGING, StemChangePattern.E_IE),
        ("morder", VerbType.STEM_CHANGING, StemChangePattern.O_UE),
        ("pedir", VerbType.STEM_CHANGING, StemChangePattern.E_I),
        ("jugar", VerbType.STEM_CHANGING, StemChangePattern.U_UE),
        ("adquirir", VerbType.STEM_CHANGING, StemChangePattern.I_IE),
        ("conocer", VerbType.IRREGULAR, None),
        ("escribir", VerbType.IRREGULAR, None),
        ("poder", VerbType.IRREGULAR, StemChangePattern.O_UE),
    ],
)
def test_a_verb_has_the_least_regular_class_that_applies(
    infinitive: str, kind: VerbType, pattern: StemChangePattern | None
) -> None:
    paradigm = conjugate(infinitive)
    assert (paradigm.verb_type, paradigm.stem_change_pattern) == (kind, pattern)


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        (("hablar", "present_subjunctive", "yo"), "regular -ar endings"),
        (("buscar", "present_subjunctive", "yo"), "spelling c→qu before e"),
        (("empezar", "present_subjunctive", "yo"), "stem change e→ie (table e_ie); spelling z→c before e"),
        (("empezar", "present_subjunctive", "nosotros"), "spelling z→c before e"),
        (("empezar", "present_indicative", "yo"), "stem change e→ie (table e_ie)"),
        (("empezar", "preterite_indicative", "yo"), "spelling z→c before e"),
        (("empezar", "preterite_indicative", "el"), "regular -ar endings"),
        (("coger", "present_indicative", "yo"), "spelling g→j before a and o"),
        (("conocer", "present_indicative", "tu"), "regular -er endings"),
        (("huir", "preterite_indicative", "el"), "-y- between u and a, e or o"),
        (("huir", "preterite_indicative", "tu"), "regular -ir endings"),
        (("mantener", "present_subjunctive", "yo"), "irregular (model tener)"),
        (("construir", "present_subjunctive", "yo"), "-y- between u and a, e or o"),
        (("conducir", "imperfect_subjunctive", "yo"), "strong preterite in -duj-"),
        (("decir", "present_perfect_subjunctive", "yo"), "haber and the participle dicho, irregular"),
        (("hablar", "present_perfect_subjunctive", "yo"), "haber and the participle hablado"),
    ],
)
def test_each_cell_names_the_rule_that_made_it(cell: tuple[str, str, str], rule: str) -> None:
    assert conjugate(cell[0])[cell[1:]].rule == rule


def test_everything_is_plain_json_with_the_views_and_empty_lists_for_what_is_not_there() -> None:
    found = conjugate("hablar").as_dict()
    tables = found["forms"]
    assert isinstance(tables, dict)
    assert set(tables) == {t.value for t in Tense} | {
        f"{tense}_subjunctive_{view}" for tense in ("imperfect", "pluperfect") for view in ("ra", "se")
    }
    assert tables["imperative_affirmative"]["yo"] == []
    assert (found["infinitive"], found["verb_type"], found["gerund"]) == ("hablar", "regular", ["hablando"])


# Rules switched off


@pytest.mark.parametrize(
    ("cell", "rule", "made"),
    [
        (("buscar", "present_subjunctive", "yo"), Rule.SPELLING, "busce"),
        (("dormir", "present_subjunctive", "nosotros"), Rule.STEM_CHANGE, "dormamos"),
        (("tener", "present_subjunctive", "yo"), Rule.IRREGULAR, "tena"),
        (("conocer", "present_subjunctive", "yo"), Rule.IRREGULAR, "conoza"),
        (("hacer", "imperfect_subjunctive", "yo"), Rule.IRREGULAR, "haciera"),
        (("enviar", "present_subjunctive", "yo"), Rule.ACCENT, "envie"),
        (("decir", "present_perfect_subjunctive", "yo"), Rule.PARTICIPLE, "haya decido"),
    ],
)
def test_a_rule_switched_off_makes_the_learners_form(cell: tuple[str, str, str], rule: Rule, made: str) -> None:
    assert conjugate(cell[0], without=frozenset({rule}))[cell[1:]].forms[0] == made


def test_a_stem_change_applied_everywhere_makes_duermamos() -> None:
    over = frozenset({Rule.STEM_CHANGE})
    assert conjugate("dormir", over=over)["present_subjunctive", "nosotros"].forms == ("duermamos",)
    assert conjugate("pensar", over=over)["present_subjunctive", "nosotros"].forms == ("piensemos",)


# Recognising


def test_a_form_is_recognised_in_every_cell_that_it_fills() -> None:
    readings = recognise(" Fueran ", [conjugate("ser"), conjugate("ir")])
    assert [(r.infinitive, r.tense, r.person) for r in readings] == [
        ("ser", Tense.IMPERFECT_SUBJUNCTIVE, Person.ELLOS),
        ("ir", Tense.IMPERFECT_SUBJUNCTIVE, Person.ELLOS),
    ]
    assert recognise("mesa", [conjugate("ser")]) == []


# What is no verb


@pytest.mark.parametrize(
    "text", ["", " ", "mesa", "hablar comer", "ar", "er", "se", "habl4r", "xr", "123", "arse", "ha\x00blar", "hablarr"]
)
def test_what_is_no_infinitive_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(NotAVerb, match=r"give an infinitive|is no Spanish infinitive"):
        conjugate(text)


@pytest.mark.parametrize("text", ["OÍR", " oír ", unicodedata.normalize("NFD", "oír"), "Oír"])
def test_capitals_spaces_and_decomposed_accents_make_no_difference(text: str) -> None:
    assert conjugate(text)["present_subjunctive", "yo"].forms == ("oiga",)


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    try:
        paradigm = conjugate(text)
    except NotAVerb:
        return
    assert paradigm.forms().keys() == {tense.value for tense in Tense}


@given(st.from_regex(r"[bcdfglmnprst]{1,2}[aeiou][bcdflmnprt]{1,2}(ar|er|ir)(se)?", fullmatch=True))
def test_a_verb_that_nobody_knows_has_six_persons_in_composed_letters(infinitive: str) -> None:
    paradigm = conjugate(infinitive)
    for tense in SIMPLE:
        for person in Person:
            if not tense.startswith("imperative"):
                found = paradigm[tense, person].forms
                assert found
                assert all(unicodedata.is_normalized("NFC", form) for form in found)


@pytest.mark.parametrize("name", ["E_IE", "O_UE", "IE_I", "I_I", "UE_U", "STRESSED_I", "HIATUS", "PLAIN_C", "ONLY_I"])
def test_every_member_of_a_table_is_an_infinitive_of_its_kind(name: str) -> None:
    for infinitive in getattr(verb_tables, name):
        assert conjugate(infinitive).infinitive == infinitive
    assert not verb_tables.E_IE & verb_tables.O_UE
    assert all(verb.endswith(("ír", "ir")) for verb in verb_tables.I_I | verb_tables.IE_I | verb_tables.UE_U)


# Verbs with two conjugations, of two infinitives, with a prefix, with a part of their forms


@pytest.mark.parametrize(
    ("infinitive", "forms"),
    [
        ("asolar", ("asuele", "asole")), ("restregar", ("restriegue", "restregue")), ("errar", ("yerre", "erre")),
        ("emparentar", ("emparente", "empariente")), ("engrosar", ("engruese", "engrose")),
        ("derrocar", ("derroque", "derrueque")), ("aterrar", ("aterre", "atierre")),
        ("filiar", ("filie", "filíe")), ("afiliar", ("afilie", "afilíe")), ("desahuciar", ("desahucie", "desahúcie")),
        ("contar", ("cuente",)), ("aferrarse", ("me aferre", "me afierre")),
    ],
)  # fmt: skip
def test_two_conjugations_that_are_both_right_stand_in_one_cell(infinitive: str, forms: tuple[str, ...]) -> None:
    assert conjugate(infinitive)["present_subjunctive", "yo"].forms == forms


def test_where_the_stem_has_no_stress_the_two_are_one() -> None:
    assert conjugate("asolar")["present_subjunctive", "nosotros"].forms == ("asolemos",)


@pytest.mark.parametrize("infinitive", sorted(verb_tables.ONLY_I))
def test_a_verb_of_endings_in_i_has_no_present_subjunctive(infinitive: str) -> None:
    paradigm = conjugate(infinitive)
    assert not any(paradigm["present_subjunctive", person].forms for person in Person)
    assert [bool(paradigm["present_indicative", person].forms) for person in Person] == [False] * 3 + [True] * 2 + [
        False
    ]
    assert paradigm["imperfect_subjunctive", "yo"].forms
    assert paradigm.defective == "only the forms whose ending begins with i"


@pytest.mark.parametrize(
    ("infinitive", "tense", "person", "form"),
    [
        ("podrir", "present_subjunctive", "yo", "pudra"), ("podrir", "imperfect_subjunctive", "yo", "pudriera"),
        ("repodrirse", "present_indicative", "el", "se repudre"),
        ("autoconvencerse", "present_subjunctive", "yo", "me autoconvenza"),
        ("autoproponer", "imperative_affirmative", "tu", "autopropón"),
        ("superentender", "present_subjunctive", "yo", "superentienda"),
        ("autorregir", "present_subjunctive", "nosotros", "autorrijamos"),
        ("teleconducir", "imperfect_subjunctive", "ellos", "telecondujeran"),
        ("telever", "present_indicative", "tu", "televés"),
        ("rarefacer", "present_subjunctive", "yo", "rarefaga"), ("licuefacer", "preterite_indicative", "el", "licuefizo"),
        ("rehenchir", "present_subjunctive", "yo", "rehíncha"),
        ("rehenchir", "present_subjunctive", "nosotros", "rehinchamos"),
        ("reherir", "present_subjunctive", "yo", "rehiera"), ("adyacer", "present_subjunctive", "yo", "adyazca"),
        ("prefreír", "present_subjunctive", "yo", "prefría"), ("sobrever", "present_subjunctive", "yo", "sobrevea"),
        ("cafeinar", "present_subjunctive", "yo", "cafeíne"), ("mimeografiar", "present_subjunctive", "yo", "mimeografíe"),
        ("redescontar", "present_subjunctive", "yo", "redescuente"),
        ("contradecir", "future_indicative", "yo", "contradiré"), ("predecir", "future_indicative", "yo", "predeciré"),
        ("interrogar", "present_subjunctive", "yo", "interrogue"), ("superar", "present_subjunctive", "yo", "supere"),
        ("multar", "present_subjunctive", "yo", "multe"), ("ultrajar", "present_subjunctive", "yo", "ultraje"),
    ],
)  # fmt: skip
def test_a_verb_follows_the_one_that_it_is_made_of_and_no_other(
    infinitive: str, tense: str, person: str, form: str
) -> None:
    assert conjugate(infinitive)[tense, person].forms[0] == form


@pytest.mark.parametrize(
    ("infinitive", "participles"),
    [
        ("podrir", ("podrido",)), ("repodrir", ("repodrido",)), ("desvolver", ("desvuelto",)), ("solver", ("suelto",)),
        ("rarefacer", ("rarefacto",)), ("autoimponer", ("autoimpuesto",)), ("autodescribir", ("autodescrito", "autodescripto")),
    ],
)  # fmt: skip
def test_a_participle_keeps_its_prefix(infinitive: str, participles: tuple[str, ...]) -> None:
    assert conjugate(infinitive).past_participle == participles


@pytest.mark.parametrize(
    ("infinitive", "forms"), [("guiar", ("no guieis", "no guiéis")), ("reír", ("no riais", "no riáis"))]
)
def test_a_negative_command_has_the_spellings_of_the_subjunctive(infinitive: str, forms: tuple[str, ...]) -> None:
    assert conjugate(infinitive)["imperative_negative", "vosotros"].forms == forms
