"""Which translator serves a pair, which two do through English, and what the catalogue offers for it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Config, TranslatorConfig
from edge.errors import ConfigError, EngineFailed, LanguageMissing, ModelCorrupt
from edge.ports import Stop
from edge.translation import TranslateRequest
from models.budget import budget
from models.catalog import Catalogue, Entry, ModelFile
from models.fakes_translation import FakeTranslator, Slip
from models.language_packs import known_languages, offer
from models.packs import Hop, Packs, choose

TAGS = st.sampled_from(["en", "es", "de", "fr"])


def served(*pairs: Collection[str]) -> object:
    return lambda at, source, target: f"{source}-{target}" in pairs[at]


def told(engine: Packs, request: TranslateRequest) -> str:
    return "".join(engine.translate(request, Stop()))


def test_the_first_that_serves_a_pair_is_taken() -> None:
    serves = served(["es-en"], ["es-en", "en-de"], ["en-de"])
    assert choose("es", "en", 3, serves) == (Hop(0, "es", "en"),)  # type: ignore[arg-type]
    assert choose("en", "de", 3, serves) == (Hop(1, "en", "de"),)  # type: ignore[arg-type]
    assert choose("es", "de", 3, serves) == (Hop(0, "es", "en"), Hop(1, "en", "de"))  # type: ignore[arg-type]
    assert choose("de", "es", 3, serves) == () == choose("en", "fr", 3, serves)  # type: ignore[arg-type]


@given(st.sets(st.tuples(st.integers(0, 2), TAGS, TAGS)), TAGS, TAGS)
def test_a_way_leads_from_one_language_to_the_other(pairs: set[tuple[int, str, str]], source: str, target: str) -> None:
    way = choose(source, target, 3, lambda *hop: hop in pairs)
    if way:
        assert (way[0].source, way[-1].target) == (source, target) and len(way) <= 2
        assert all((hop.engine, hop.source, hop.target) in pairs for hop in way)
        assert len(way) == 1 or way[0].target == way[1].source == "en"
    straight = [at for at in range(3) if (at, source, target) in pairs]
    assert (len(way) == 1 and way[0].engine == straight[0]) if straight else len(way) != 1


@pytest.fixture
def packs() -> Packs:
    spanish = FakeTranslator({"hola": "hello", "mundo": "world"}, [("es", "en")], forces=True)
    german = FakeTranslator({"hello": "hallo", "world": "Welt"}, [("en", "de")], forces=True)
    general = FakeTranslator(lambda request: f"{request.target}:{request.text}", [("fr", "it"), ("es", "en")], forces=True)
    return Packs([spanish, german], general)


def test_a_pack_comes_before_the_general_model_and_that_before_the_way_round(packs: Packs) -> None:
    packs.open()
    assert told(packs, TranslateRequest("hola mundo", "es", "en")) == "hello world"
    assert told(packs, TranslateRequest("ciel", "fr", "it")) == "it:ciel"
    assert told(packs, TranslateRequest("hola mundo", "es-MX", "de-AT")) == "hallo Welt"
    assert packs.via("es", "de") == "en" and packs.via("es", "en") == packs.via("fr", "it") == packs.via("de", "es") == ""
    assert packs.info.details["pivot"] == "en" and packs.forces
    packs.close()


def test_through_english_the_prefix_is_of_the_end_and_what_was_before_of_no_half(packs: Packs) -> None:
    packs.open()
    request = TranslateRequest("hola mundo", "es", "de", prefix="hallo", whole=False, before=[("a", "b")])
    assert told(packs, request) == "hallo Welt"
    spanish, german, _ = packs._engines
    assert isinstance(spanish, FakeTranslator) and isinstance(german, FakeTranslator)
    half, end = spanish.asked[0], german.asked[0]
    assert (half.prefix, half.before, half.whole, half.target) == ("", (), False, "en")
    assert (end.text, end.prefix, end.source, end.whole) == ("hello world", "hallo", "en", False)
    packs.close()


def test_one_that_cannot_go_on_makes_all_begin_anew() -> None:
    mixed = Packs([FakeTranslator({"a": "b"}, [("es", "en")], forces=True), FakeTranslator({}, [("en", "de")])])
    assert not mixed.forces and told(mixed, TranslateRequest("a", "es", "en", prefix="x")) == "b"
    assert not Packs([]).forces


def test_what_lacks_is_told_with_the_half_that_is_here(packs: Packs) -> None:
    assert packs.missing("es", "de") == packs.missing("fr", "it") == ""
    assert packs.missing("es", "fr") == (
        "no translator from es to fr; with es-en here, en-fr makes the way through it: "
        "run nearsight models pull --translate es-fr"
    )
    assert packs.missing("ja", "ko") == "no translator from ja to ko: run nearsight models pull --translate ja-ko"
    assert "same language" in packs.missing("en-US", "en")
    with pytest.raises(LanguageMissing, match="ja to ko"):
        told(packs, TranslateRequest("x", "ja", "ko"))
    alone = FakeTranslator({}, [("es", "en")])
    assert Packs([alone]).missing("ja", "en") == alone.missing("ja", "en"), "the only one speaks for itself"
    assert Packs([alone]).info == alone.info


def test_a_half_of_which_nothing_comes_ends_there(packs: Packs) -> None:
    spanish, german, _ = packs._engines
    assert isinstance(spanish, FakeTranslator) and isinstance(german, FakeTranslator)
    spanish.slips = [Slip.NOTHING, EngineFailed("lost")]
    for why in ("es-en: nothing comes of it, so nothing goes on to de", "lost"):
        with pytest.raises(EngineFailed, match=why):
            told(packs, TranslateRequest("hola", "es", "de"))
    assert not german.asked and told(packs, TranslateRequest("", "es", "de")) == ""
    assert told(packs, TranslateRequest("hola", "es", "de")) == "hallo"


def test_all_are_open_or_none() -> None:
    class Broken(FakeTranslator):
        def open(self) -> None:
            raise ModelCorrupt("cut")

    good = FakeTranslator()
    with pytest.raises(ModelCorrupt):
        Packs([good, Broken()]).open()
    assert (good.opened, good.closed) == (1, 1)


def entry(name: str, *pairs: str, languages: Collection[str] = (), megabytes: float = 100.0) -> Entry:
    return Entry(name, "translator", "file:x", "MIT", (ModelFile("model.bin"),), tuple(languages), pairs, megabytes)


CATALOGUE = {
    one.name: one
    for one in (
        entry("it-en", "it-en", "pt-en", languages=["it", "pt", "en"]),
        entry("en-de", "en-de", languages=["en", "de"]),
        entry("big", languages=["en", "de", "it", "ja"], megabytes=900),
        entry("small", languages=["en", "de", "it", "no"], megabytes=500),
        entry("huge", languages=["mul"], megabytes=3000),
    )
}


def test_the_pair_s_own_pack_then_both_halves_then_a_model_of_many() -> None:
    assert offer(CATALOGUE, "pt-BR", "en-GB").models == ("it-en",)
    way = offer(CATALOGUE, "it", "de")
    assert way.models == ("it-en", "en-de") and way.through == "en" and way.debian == ""
    assert offer(CATALOGUE, "de", "it").models == ("small",), "the smaller of two"
    assert offer(CATALOGUE, "ja", "de").models == ("big",)
    assert offer(CATALOGUE, "nb", "en").models == ("small",), "to it both forms of Norwegian are one"
    assert offer(CATALOGUE, "nb", "nn").models == () and offer(CATALOGUE, "nb", "nn").debian == "apertium-nno-nob"
    assert offer(CATALOGUE, "eu", "es").debian == "apertium-eu-es", "that way it has a mode"


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("es", "es-MX", "es and es-MX are the same language"),
        ("xx", "en", "no model of the catalogue knows the language 'xx': known are de, en, it, ja, no, pt"),
        ("it", "jaa", "no model of the catalogue knows the language 'jaa': did you mean 'ja'"),
        ("pt", "ja", "no model of the catalogue translates from pt to ja: nearsight models add takes a folder of your own"),
    ],
)
def test_a_pair_that_cannot_be_had_says_why(source: str, target: str, says: str) -> None:
    with pytest.raises(LanguageMissing) as caught:
        offer(CATALOGUE, source, target)
    assert caught.value.text.startswith(says)


def test_the_catalogue_that_is_shipped_has_what_it_says() -> None:
    models = Catalogue.load()
    translators = [one for one in models.entries.values() if one.task == "translator"]
    assert len(translators) > 10 and {"en", "es", "zh", "ja"} <= known_languages(models.entries)
    for one in translators:
        names = {file.name for file in one.files}
        assert "model.bin" in names and one.files[0].name == "model.bin" and any("vocabulary" in name for name in names)
        assert {tag for pair in one.pairs for tag in pair.split("-")} <= set(one.languages)
        assert one.pairs or not one.name.startswith("opus")
    assert models.offer("es", "en").models == ("opus-mt-es-en",)
    assert not models.find("nllb-200-distilled-600m").permissive


def test_a_pack_that_was_added_by_hand_is_for_the_pair_of_its_name(tmp_path: Path) -> None:
    from models.carry import add
    from models.ct2_pack import Family
    from models.ct2_translator import Ct2Translator
    from tests.models.tiny_translators import translator

    folder = translator(tmp_path / "anything", Family.MARIAN)
    known = Catalogue({}, tmp_path / "cache")
    placed = add(known, folder, "opus-mt-sv-fi", "translator")
    found = Catalogue.load(cache=tmp_path / "cache").find("opus-mt-sv-fi")
    assert found.pairs == ("sv-fi",) and found.languages == ("sv", "fi")
    assert {file.name for file in found.files} == {
        "model.bin",
        "config.json",
        "shared_vocabulary.json",
        "source.spm",
        "target.spm",
    }
    engine = Ct2Translator(placed.parent, threads=1)
    assert placed.name == "model.bin" and engine.missing("sv", "fi") == ""
    engine.open()
    assert "".join(engine.translate(TranslateRequest("the dog", "sv", "fi"), Stop())) == "el perro"
    engine.close()


def test_pairs_look_like_pairs() -> None:
    with pytest.raises(ConfigError, match="pairs look like es-en"):
        entry("x", "spanish")


def test_packs_count_in_the_memory_beside_the_general_model() -> None:
    config = Config(translator=TranslatorConfig(engine="ctranslate2", model="small", packs=("it-en", "en-de")))
    shares = budget(config, CATALOGUE, ["translator"])
    assert {share.model: share.megabytes for share in shares} == {"small": 600.0, "it-en": 120.0, "en-de": 120.0}
