"""What people and engines call languages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.languages import (
    heard_as,
    known,
    name_of,
    own_name_of,
    primary,
    same,
    suggested,
    tag_of,
    three_letters,
)

WHISPER = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml cy sk te"
    " fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht"
    " ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
).split()
APERTIUM = (
    "eng spa cat glg epo eus hbs isl mkd por ron ita ast arg fra oci bre frp srd rus ukr bel swe dan nor nno nob ind zlm urd"
    " hin afr nld pol szl slv bul"
).split()


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("Spanish", "es"),
        ("the Spanish language", "es"),
        ("español", "es"),
        ("ESPANOL", "es"),
        ("中文", "zh"),
        ("mandarin", "zh"),
        ("Farsi", "fa"),
        ("brazilian portuguese", "pt-BR"),
        ("pt_br", "pt-BR"),
        ("zh-hant", "zh-Hant"),
        ("eng", "en"),
        ("en", "en"),
        ("ger", "de"),
        ("iw", "he"),
        ("lao", "lo"),
        ("spannish", "es"),
        ("portugese", "pt"),
        ("it", "it"),
        ("klingon", ""),
        ("jeremy", ""),
        ("norvenian", ""),
        ("xx", ""),
        ("dog", ""),
        ("", ""),
        (" - ", ""),
    ],
)
def test_the_tag_of_a_name(text: str, tag: str) -> None:
    assert tag_of(text) == tag


@pytest.mark.parametrize("word", "it is my so no he am be as or the to this that us in an eng pt".split())
def test_a_word_that_happens_to_be_a_code_is_no_language_when_it_is_spoken(word: str) -> None:
    assert heard_as(word) == ""


@pytest.mark.parametrize(("text", "name"), [("spinish", "Spanish"), ("japan", "Japanese"), ("sweden", "Swedish"), ("xyz", "")])
def test_what_may_have_been_meant(text: str, name: str) -> None:
    assert suggested(text) == name


def test_names() -> None:
    assert [name_of(tag) for tag in ("es", "spa", "pt-BR", "pt_AO", "xx", "")] == [
        *("Spanish", "Spanish", "Brazilian Portuguese", "Portuguese", "xx", "")
    ]
    assert own_name_of("de-DE") == "Deutsch"
    assert own_name_of("xx") == "xx"


def test_codes() -> None:
    assert [primary(tag) for tag in ("pt-BR", "eng", "EN_us", "cmn", "xx-YY", "fil", "")] == [
        "pt",
        "en",
        "en",
        "zh",
        "xx",
        "tl",
        "",
    ]
    assert [three_letters(tag) for tag in ("es", "en-GB", "nob", "xx")] == ["spa", "eng", "nob", ""]


def test_the_same_language() -> None:
    assert same("pt-BR", "pt_PT")
    assert same("eng", "en-US")
    assert same("no", "nb")
    assert same("sr", "sh")
    assert not same("nn", "nb")
    assert not same("hr", "sr")
    assert not same("zh", "yue")
    assert not same("", "")
    assert not same("en", "")


@pytest.mark.parametrize("tag", WHISPER)
def test_what_whisper_knows_has_a_name(tag: str) -> None:
    assert name_of(tag) != tag
    assert heard_as(name_of(tag)) == primary(tag)


@pytest.mark.parametrize("code", APERTIUM)
def test_what_apertium_calls_a_language_leads_there_and_back(code: str) -> None:
    assert three_letters(code) == {"zlm": "msa"}.get(code, code)


def test_the_table_is_in_order() -> None:
    languages = known()
    assert len({one.tag for one in languages}) == len(languages) > 100
    whole = [one for one in languages if "-" not in one.tag]
    assert len({one.three for one in whole}) == len(whole)
    assert [one.tag for one in whole] == sorted(one.tag for one in whole)
    for one in languages:
        assert re.fullmatch(r"[a-z]{2,3}(-([A-Z]{2}|[A-Z][a-z]{3}|\d{3}))?", one.tag)
        assert (len(one.tag.partition("-")[0]), len(one.three)) in ((2, 3), (3, 3))
        for name in (one.name, *one.others, one.tag, *([] if "-" in one.tag else [one.three, one.own])):
            assert tag_of(name) == one.tag, name


@given(st.text(max_size=40))
def test_any_text_is_a_known_tag_or_none(text: str) -> None:
    tag = tag_of(text)
    assert not tag or name_of(tag) != tag
    assert heard_as(text) in (tag, "")
    assert isinstance(suggested(text), str)
