"""The scripted decoder hears what lies in the sound, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decoding import Decoded, DecodeRequest
from edge.ports import Stop
from edge.values import Pcm, samples
from models.fakes import LOUD, silence, tone
from models.fakes_speech import BLOCK, ScriptedDecoder, Slips, heard, said, spoken

SCRIPT = spoken("one two three", 0.5)
LENGTH = samples(2.0)
SOUND = said(SCRIPT, LENGTH)
REQUEST = DecodeRequest()
EXACT = Slips()


def texts(decoded: Decoded) -> list[str]:
    return [word.text for word in decoded.words]


def decode(pcm: Pcm, slips: Slips = EXACT) -> Decoded:
    return ScriptedDecoder(SCRIPT, slips).decode(pcm, REQUEST, Stop())


def test_words_are_loud_and_pauses_are_not() -> None:
    word = SCRIPT[1]
    assert (SOUND[word.start : word.end] > LOUD).all()
    assert (SOUND[: SCRIPT[0].start] < LOUD / 10).all()


@given(start=st.integers(0, LENGTH - 100), size=st.integers(2 * BLOCK, 4000), pad=st.integers(0, 300))
def test_any_piece_of_the_sound_tells_where_it_lies(start: int, size: int, pad: int) -> None:
    piece = SOUND[start : start + size]
    first, last = heard(np.concatenate([piece, np.zeros(pad, np.int16)]))
    assert first == start
    assert abs(last - (start + len(piece))) < BLOCK


@pytest.mark.parametrize("pcm", [silence(1.0), tone(1e-4), np.zeros(0, np.int16)])
def test_other_sound_tells_nothing(pcm: Pcm) -> None:
    assert heard(pcm) == (0, 0)
    assert not decode(pcm).words


def test_it_hears_what_lies_in_the_buffer() -> None:
    assert texts(decode(SOUND)) == ["one", "two", "three"]
    assert decode(SOUND).words == tuple(SCRIPT)
    cut = SCRIPT[1].end - 1000
    assert texts(decode(SOUND[:cut])) == ["one"]
    assert texts(decode(SOUND[:cut], Slips(cut=True))) == ["one", "t"]
    from_two = decode(SOUND[SCRIPT[1].start :])
    assert texts(from_two) == ["two", "three"]
    assert from_two.words[0].start == 0
    assert texts(decode(SOUND[SCRIPT[1].start + 2000 :])) == ["two", "three"]
    assert texts(decode(SOUND[SCRIPT[1].start + 3000 :])) == ["three"]


def test_a_pause_ends_a_segment() -> None:
    script = [*spoken("one two"), *spoken("three", 2.0)]
    decoded = ScriptedDecoder(script).decode(said(script, samples(3.0)), REQUEST, Stop())
    assert [[word.text for word in segment.words] for segment in decoded.segments] == [["one", "two"], ["three"]]


def test_slips_change_places_and_shapes_but_no_words() -> None:
    decoder = ScriptedDecoder(SCRIPT, Slips(jitter=800, flips=True, seed=3))
    decodes = [decoder.decode(SOUND, REQUEST, Stop()) for _ in range(20)]
    assert {tuple(text.strip(",.?").lower() for text in texts(decoded)) for decoded in decodes} == {("one", "two", "three")}
    assert len({tuple(texts(decoded)) for decoded in decodes}) > 5
    places = [decoded.words[1].start for decoded in decodes]
    assert len(set(places)) > 5
    assert all(abs(place - SCRIPT[1].start) <= 800 for place in places)
    again = ScriptedDecoder(SCRIPT, Slips(jitter=800, flips=True, seed=3))
    assert [again.decode(SOUND, REQUEST, Stop()) for _ in range(20)] == decodes, "the same seed, the same slips"


def test_an_inventor_hears_words_in_anything() -> None:
    decoder = ScriptedDecoder(invents="see you soon")
    for pcm in (silence(1.0), SOUND):
        assert texts(decoder.decode(pcm, REQUEST, Stop())) == ["see", "you", "soon"]


def test_it_stops_and_counts() -> None:
    decoder = ScriptedDecoder(SCRIPT)
    stop = Stop()
    stop.set()
    assert not decoder.decode(SOUND, REQUEST, stop).words
    assert decoder.asked == [REQUEST]
    assert decoder.attend(SOUND, decode(SOUND), Stop()) == tuple(word.end for word in SCRIPT)
    assert decoder.identify(SOUND, Stop())[0] == ("en", 0.9)
