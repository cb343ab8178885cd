"""Signs and menus in another language, translated where they stand."""

from __future__ import annotations

from functools import cache

import pytest

from edge.errors import LanguageMissing
from edge.policy.router import Router
from edge.skill import Act
from edge.skills import load
from edge.skills.translate_text import TranslateText
from edge.translation import Interpret
from edge.values import Box, Reading, TextLine
from tests.skills.asking import FakeAsking, said


@cache
def router() -> Router:
    return Router(load())


def lines(*texts: str, height: int = 30) -> Reading:
    """Rows one below the other, as a reader finds them."""
    return Reading(
        tuple(
            TextLine(text, Box(20, 20 + 1.4 * height * at, 20 + 14 * len(text), 20 + 1.4 * height * at + height), 0.99)
            for at, text in enumerate(texts)
        )
    )


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("translate this sign", {}),
        ("please translate the menu into german", {"language": "german"}),
        ("translate this label from japanese", {"source": "japanese"}),
        ("what does this sign say in french", {"language": "french"}),
    ],
)
def test_asking_for_it(text: str, slots: dict[str, str]) -> None:
    route = router().route(text)
    assert (route.skill.name, dict(route.slots)) == ("translate_text", slots)


WHOLE = "Prohibido el paso a toda persona ajena a la obra"


async def test_a_sign_broken_into_rows_is_one_sentence_and_stands_in_its_place() -> None:
    reading = lines("Prohibido el paso", "a toda persona", "ajena a la obra")
    asking = FakeAsking(
        "translate this sign", text=reading, translated={WHOLE: "No entry for unauthorised persons"}, languages={WHOLE: "es"}
    )
    assert await said(TranslateText(), asking) == "No entry for unauthorised persons. "
    assert asking.translate_requests == [(WHOLE, "en", "es")]
    assert asking.trace.index("expect_translating") < asking.trace.index("reading")
    [(_, language, [(line, translation)])] = asking.overlays
    assert (language, translation) == ("en", "No entry for unauthorised persons")
    assert (line.box.y0, line.box.y1) == (reading.lines[0].box.y0, reading.lines[-1].box.y1)


async def test_a_menu_is_translated_row_by_row_and_its_prices_stay_as_they_are() -> None:
    reading = lines("Sopa de ajo con huevo y pan de la casa 4.50", "Tarta de queso con miel de la sierra 5.20 €")
    asking = FakeAsking("translate the menu", text=reading, translated=lambda text, target, source: text.replace("de", "of"))
    answer = await said(TranslateText(), asking)
    assert answer == "Sopa of ajo con huevo y pan of la casa 4.50. Tarta of queso con miel of la sierra 5.20 €. "
    assert [text[-4:] for text, _, _ in asking.translate_requests] == ["casa", "erra"]
    assert [translation[-6:] for _, translation in asking.overlays[0][2]] == ["a 4.50", "5.20 €"]


async def test_the_first_line_is_spoken_before_the_second_is_translated() -> None:
    asking = FakeAsking("translate the menu", text=lines("Sopa de ajo 4.50", "Tarta 5.20"), slots={"source": "spanish"})
    answer = TranslateText().answer(asking)
    assert await anext(answer) == "<Sopa de ajo> 4.50. " and len(asking.translate_requests) == 1
    assert not asking.overlays
    assert [piece async for piece in answer] == ["<Tarta> 5.20. "]


async def test_of_a_long_text_the_beginning_is_spoken_and_all_of_it_is_shown() -> None:
    menu = [f"Un plato de la casa con todo lo que hay y nada que no sea {at}.50" for at in range(1, 8)]
    asking = FakeAsking("translate the menu", text=lines(*menu))
    answer = await said(TranslateText(), asking)
    assert answer.count("<") == 1 and answer.endswith("There are 6 more lines.") and len(asking.overlays[0][2]) == 7
    asking = FakeAsking("translate the menu", text=lines(*menu), manner="blind")
    assert (await said(TranslateText(), asking)).count("<") == 7


async def test_capitals_are_translated_as_words_and_stay_capitals_where_they_are_shown() -> None:
    asking = FakeAsking(
        "translate this sign",
        text=lines("NO SE PERMITE FUMAR"),
        translated={"No se permite fumar": "Smoking is not allowed"},
        languages={"NO SE PERMITE FUMAR": "es"},
    )
    assert await said(TranslateText(), asking) == "Smoking is not allowed. "
    assert asking.overlays[0][2][0][1] == "SMOKING IS NOT ALLOWED"


async def test_of_a_sign_in_two_languages_only_the_other_is_translated() -> None:
    reading = lines("El museo está cerrado los lunes y los domingos.", "The museum is closed on Mondays and on Sundays.")
    asking = FakeAsking("translate this sign", text=reading)
    assert await said(TranslateText(), asking) == (
        "<El museo está cerrado los lunes y los domingos.>. The museum is closed on Mondays and on Sundays. "
    )
    assert [request[1:] for request in asking.translate_requests] == [("en", "es")]
    assert len(asking.overlays[0][2]) == 1


async def test_another_language_than_the_wearers_is_spoken_by_its_own_voice() -> None:
    reading = lines("The museum is closed on Mondays")
    asking = FakeAsking("translate this sign to spanish", {"language": "spanish"}, text=reading)
    await said(TranslateText(), asking)
    assert asking.tongues == ["es"] and asking.translate_requests[0][1:] == ("es", "en")


async def test_what_is_in_the_wearers_language_is_read_instead() -> None:
    asking = FakeAsking("translate this sign", text=lines("The museum is closed on Mondays"))
    assert await said(TranslateText(), asking) == "That is English already. It says: The museum is closed on Mondays."
    assert not asking.translate_requests


async def test_figures_are_the_same_in_every_language() -> None:
    asking = FakeAsking("translate this sign", text=lines("03/09/2009"))
    assert await said(TranslateText(), asking) == "I see figures only: 03/09/2009."


async def test_a_language_that_cannot_be_told_is_asked_for_unless_there_is_a_likely_one() -> None:
    unclear = lines("Zutat")
    asking = FakeAsking("translate this sign", text=unclear)
    assert "I cannot tell which language" in await said(TranslateText(), asking)
    assert asking.acts == [Act.LISTEN_ON]
    asking = FakeAsking("translate this sign", text=unclear, interpreting=Interpret("en", "de", True))
    await said(TranslateText(), asking)
    assert asking.translate_requests[0][1:] == ("en", "de")
    asking = FakeAsking("translate this sign to french", {"language": "french"}, text=unclear)
    await said(TranslateText(), asking)
    assert asking.translate_requests[0][1:] == ("fr", "en")


async def test_nothing_to_read_unknown_names_and_missing_packs() -> None:
    assert await said(TranslateText(), FakeAsking("translate this sign", text=Reading())) == "I see no text."
    assert "blurred" in await said(TranslateText(), FakeAsking("translate this sign", text=Reading(blurred=True)))
    unknown = FakeAsking("translate this sign to klingon", {"language": "klingon"}, text=lines("Hola"))
    assert await said(TranslateText(), unknown) == "I do not know the language klingon."
    unknown = FakeAsking("translate this sign from klingon", {"source": "klingon"}, text=lines("Hola"))
    assert await said(TranslateText(), unknown) == "I do not know the language klingon."

    def missing(text: str, target: str, source: str) -> str:
        raise LanguageMissing("no translator from es to en: run nearsight models pull --translate es-en")

    asking = FakeAsking("translate this sign", text=lines(WHOLE), translated=missing, languages={WHOLE: "es"})
    assert await said(TranslateText(), asking) == "No translator from Spanish to English."
    assert not asking.overlays


async def test_a_translator_that_gives_nothing_leaves_the_words() -> None:
    asking = FakeAsking("translate this sign", {"source": "spanish"}, text=lines("Hola"), translated={"Hola": ""})
    assert await said(TranslateText(), asking) == "Hola. "
