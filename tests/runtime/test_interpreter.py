from __future__ import annotations

import numpy as np

from edge.errors import EngineFailed
from edge.policy.pacing import Pace
from edge.policy.sides import Sides
from edge.translation import Party, PassedOver, Rendered, SourceHeard, Translated, TranslationSpoken
from models.fakes import silence, tone
from models.fakes_translation import FakeTranslator, Slip
from tests.runtime.interpreted import SPANISH, interpreted, loudness

DOG = "the dog sleeps the house is big good day"
PERRO = "el perro duerme el casa es grande buen día"


async def test_what_is_said_is_spoken_in_the_other_language() -> None:
    async with interpreted([DOG]) as stage:
        await stage.hear(np.concatenate([silence(0.5), tone(2.5), silence(1.5)]))
    assert " ".join(stage.texts()) == PERRO
    assert " ".join(stage.spoken(Party.PARTNER)) == PERRO
    assert not stage.spoken(Party.WEARER)
    assert loudness(stage.played[Party.PARTNER]) > 0.2 * len(PERRO.split()) - 0.1
    heard = [one for one in stage.told.of(SourceHeard) if one.final]
    assert " ".join(one.text for one in heard) == DOG
    assert [word["text"] for one in heard for word in one.words] == DOG.split()
    assert stage.interpreter.done == [Rendered(one.text, text, "es") for one, text in zip(heard, stage.texts(), strict=True)]


async def test_it_speaks_before_the_speaker_has_finished() -> None:
    async with interpreted([" ".join([DOG] * 3)], seconds=9.0) as stage:
        await stage.hear(np.concatenate([tone(9.0), silence(1.5)]))
    spoken = stage.told.of(TranslationSpoken)
    assert spoken[0].start_ms < 7000
    assert [one.start_ms for one in spoken] == sorted(one.start_ms for one in spoken)
    assert all(one.lag_ms >= 0 for one in spoken)
    assert " ".join(one.text for one in spoken) == " ".join([PERRO] * 3)


async def test_captions_never_take_back_what_stands_and_speech_only_follows_them() -> None:
    async with interpreted([DOG, DOG]) as stage:
        await stage.hear(np.concatenate([tone(2.5), silence(1.5), tone(2.5), silence(1.5)]))
    said: dict[tuple[str, int], str] = {}
    for event in stage.told.events:
        if isinstance(event, SourceHeard | Translated):
            key = event.event, event.sentence
            assert event.text.startswith(said.get(key, ""))
            said[key] = event.text
    stood = ""
    for event in stage.told.events:
        if isinstance(event, Translated):
            stood = event.text
        elif isinstance(event, TranslationSpoken):
            assert event.text in stood


async def test_a_translation_that_fails_costs_its_sentence_alone() -> None:
    translator = FakeTranslator(SPANISH, slips=[EngineFailed("the translator fell over")] * 40)
    async with interpreted([DOG, "good day"], translator=translator) as stage:
        await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
        translator.slips.clear()
        await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
    assert stage.failures
    assert stage.spoken()[-1] == "buen día"


async def test_an_engine_that_loops_or_gives_nothing_says_nothing() -> None:
    for slip in (Slip.LOOP, Slip.NOTHING):
        translator = FakeTranslator(SPANISH, slips=[slip] * 40)
        async with interpreted([DOG, "good day"], translator=translator) as stage:
            await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
            assert not stage.spoken()
            translator.slips.clear()
            await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
        assert stage.spoken() == ["buen día"]


async def test_whoever_holds_the_button_is_translated_for_the_other() -> None:
    sides = Sides("en", "es", both=True)
    translator = FakeTranslator({**SPANISH, "hola": "hello", "amigo": "friend"})
    async with interpreted(["good day", "hola amigo"], sides=sides, translator=translator, heard_in="") as stage:
        stage.interpreter.push(Party.WEARER)
        await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
        stage.interpreter.push(Party.PARTNER)
        await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
    assert stage.spoken(Party.PARTNER) == ["buen día"]
    assert stage.spoken(Party.WEARER) == ["hello friend"]
    assert [one.speaker for one in stage.told.of(Translated) if one.final] == ["wearer", "partner"]


async def test_a_button_that_is_let_go_ends_what_was_said_and_still_says_who_said_it() -> None:
    sides = Sides("en", "es", both=True)
    translator = FakeTranslator({**SPANISH, "hola": "hello", "amigo": "friend"})
    async with interpreted(["hola amigo"], sides=sides, translator=translator, heard_in="", seconds=0.4) as stage:
        stage.interpreter.push(Party.PARTNER)
        await stage.hear(np.concatenate([silence(0.3), tone(0.5)]))
        stage.interpreter.push(None)
        await stage.hear(silence(0.2))  # a pause would be three times as long
        assert stage.texts() == ["hello friend"]
    assert stage.spoken(Party.WEARER) == ["hello friend"]


async def test_what_is_in_the_target_already_is_passed_over() -> None:
    async with interpreted(["el perro duerme en la casa grande"], heard_in="es") as stage:
        await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
    assert [one.reason for one in stage.told.of(PassedOver)] == ["same_language"]
    assert not stage.spoken()
    assert not stage.translator.asked


async def test_what_was_being_said_to_the_assistant_is_not_translated() -> None:
    async with interpreted([DOG, "good day"], seconds=4.0) as stage:
        await stage.hear(tone(0.8))
        stage.interpreter.interrupt()
        await stage.hear(np.concatenate([tone(2.0), silence(1.5)]))
        before = stage.spoken()
        await stage.hear(np.concatenate([tone(4.0), silence(1.5)]))
    assert " ".join(before) in PERRO
    assert len(before) < 2
    assert stage.spoken()[-1] == "buen día"


async def test_a_command_is_held_and_taken() -> None:
    taken = []

    def command(text: str, final: bool) -> bool:
        if final and text == "stop translating":
            taken.append(text)
        return "stop translating".startswith(text)

    async with interpreted(["stop translating", "good day"], command=command) as stage:
        await stage.hear(np.concatenate([tone(2.5), silence(1.5), tone(2.5), silence(1.5)]))
    assert taken == ["stop translating"]
    assert stage.spoken() == ["buen día"]


async def test_its_own_voice_is_not_translated_again() -> None:
    """The partner's loudspeaker stands on the table: the glasses hear what it says."""
    async with interpreted([DOG, PERRO], per_word=0.3, seconds=1.0) as stage:
        await stage.hear(np.concatenate([tone(1.2), silence(1.0)]))
        while stage.mouths[Party.PARTNER].speaking:
            await stage.hear(silence(0.1))
        await stage.hear(np.concatenate([tone(1.2), silence(3.0)]))  # what it said, from the room, a little later
    assert " ".join(stage.spoken()) == PERRO
    assert all("perro" not in request.text for request in stage.translator.asked)


async def test_a_mouth_that_falls_behind_speaks_faster_and_then_says_less() -> None:
    text = "the dog (the big dog) sleeps, um, and the house is big, you know"
    async with interpreted([text] * 6, per_word=1.0, pace=Pace(1.25, 4.0), heard_in="en") as stage:
        await stage.hear(np.concatenate([np.concatenate([tone(2.0), silence(0.8)]) for _ in range(6)]))
    spoken = stage.told.of(TranslationSpoken)
    assert spoken[0].rate == 1.0
    assert 1.2 < max(one.rate for one in spoken) <= 1.25
    assert any(one.shortened for one in spoken)


async def test_sound_without_words_is_nothing() -> None:
    async with interpreted([]) as stage:
        await stage.hear(np.concatenate([tone(1.0), silence(1.0)]))
    assert not stage.told.events


async def test_a_recogniser_that_translates_needs_no_translator_and_its_words_are_no_source() -> None:
    translator = FakeTranslator(lambda request: request.text)
    sides = Sides("en", both=False, target="en")
    async with interpreted([DOG], sides=sides, translator=translator, heard_in="es", translated=True) as stage:
        await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
    assert " ".join(stage.spoken(Party.WEARER)) == DOG
    assert not stage.told.of(SourceHeard)
    async with interpreted([DOG], sides=Sides("en", both=False, target="en"), heard_in="en", translated=True) as stage:
        await stage.hear(np.concatenate([tone(2.5), silence(1.5)]))
    assert [one.reason for one in stage.told.of(PassedOver)] == ["same_language"]
