from __future__ import annotations

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocketsphinx import Decoder

from edge.errors import LanguageMissing
from edge.ports import Stop
from edge.values import Pcm, Transcript
from models.sphinx import PocketSphinx
from models.sphinx_grammar import Segment, automaton, believe, spell_out
from phone_bridge.media import read_audio
from tests.models.contract import check_recogniser, chunks
from tests.models.sounds import flite, hiss
from tests.shared import shared

PHRASES = (
    "what does (this | the) sign say",
    "[please] read (this | it)",
    "what time is it",
    "take a (photo | picture)",
    "what can you do",
    "stop",
    "read the {item}",
)


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinx:
    engine = PocketSphinx()
    engine.open()
    return engine


def hear(engine: PocketSphinx, pcm: Pcm, phrases: tuple[str, ...] = PHRASES) -> Transcript:
    stream = engine.stream(phrases=phrases)
    for piece in chunks(pcm):
        stream.accept(piece)
    result = stream.final(Stop())
    stream.close()
    return result


def test_contract() -> None:
    check_recogniser(PocketSphinx(), flite("what can you do", "slt"), "what can you do")


def test_a_recording_is_heard_as_pocketsphinx_hears_it() -> None:
    sound = flite("my sister bought seven apples yesterday morning", "slt")
    plain = Decoder(loglevel="FATAL", compallsen=True)
    plain.start_utt()
    plain.process_raw(sound.tobytes(), full_utt=True)
    plain.end_utt()
    engine = PocketSphinx(second_pass=True)
    engine.open()
    stream = engine.stream()
    for piece in chunks(sound, 960):
        assert stream.accept(piece) is None
    result = stream.final(Stop())
    heard = plain.hyp()
    assert heard is not None and result.text == heard.hypstr
    assert [word.text for word in result.words] == result.text.split()
    assert engine.stream().final(Stop()).text == ""


@pytest.mark.parametrize("voice", ["slt", "rms", "awb", "kal16"])
def test_commands_in_several_voices(sphinx: PocketSphinx, voice: str) -> None:
    for question in ("what does this sign say", "what time is it"):
        result = hear(sphinx, flite(question, voice))
        assert (result.source, result.text) == ("grammar", question)
        assert result.confidence >= 0.5


def test_free_speech_is_no_command(sphinx: PocketSphinx) -> None:
    for text in ("the old man walked slowly down to the river", "my sister bought seven apples yesterday morning"):
        assert hear(sphinx, flite(text, "slt")).source == "general"


def test_read_speech_is_no_command(sphinx: PocketSphinx) -> None:
    for name in ("leopard__test.wav", "TTS__LJ001-0008.wav", "speechbrain__spk2_snt4.wav", "pocketsphinx__005.wav"):
        assert hear(sphinx, read_audio(shared(f"speech/en/{name}"))).source == "general", name


def test_a_pause_is_no_end(sphinx: PocketSphinx) -> None:
    sound = flite("what does this sign say", "rms")
    stream = sphinx.stream(phrases=PHRASES)
    middle = len(sound) // 2
    stream.accept(sound[:middle])
    assert stream.final(Stop()).source == "general", "half a phrase is no command"
    stream.accept(sound[middle:])
    result = stream.final(Stop())
    assert (result.source, result.text) == ("grammar", "what does this sign say")
    assert 0 < result.words[0].start < middle < result.words[-1].end <= len(sound)
    stream.close()


def test_joined_general_text_has_times_from_the_streams_start(sphinx: PocketSphinx) -> None:
    first, second = flite("what can you do", "slt"), flite("what time is it", "slt")
    stream = sphinx.stream()
    stream.accept(first)
    stream.final(Stop())
    stream.accept(second)
    result = stream.final(Stop())
    stream.close()
    assert result.text == "what can you do what time is it"
    assert result.words[4].start > len(first)
    assert all(a.end <= b.start for a, b in itertools.pairwise(result.words))


@pytest.mark.parametrize(
    "sound", [np.zeros(32_000, np.int16), hiss(2), np.zeros(7, np.int16)], ids=["zeros", "hiss", "7 samples"]
)
def test_no_speech(sphinx: PocketSphinx, sound: Pcm) -> None:
    result = hear(sphinx, sound)
    assert (result.text, result.confidence, result.words) == ("", 0.0, ())


def test_noise_without_end_stays_bounded(sphinx: PocketSphinx) -> None:
    stream = sphinx.stream(phrases=PHRASES)
    for piece in chunks(hiss(21, amplitude=2000), 16_000):
        stream.accept(piece)
    assert stream.final(Stop()).source == "general"
    stream.close()


def test_stop_is_kept(sphinx: PocketSphinx) -> None:
    stop = Stop()
    stop.set()
    stream = sphinx.stream(phrases=PHRASES)
    stream.accept(flite("stop", "slt")[:9000])
    assert stream.final(stop).text == "", "nothing of the sound that waited was decoded"
    stream.close()


def test_a_new_stream_ends_the_last(sphinx: PocketSphinx) -> None:
    forgotten = sphinx.stream(phrases=PHRASES)
    forgotten.accept(flite("stop", "slt", tail=1.0))
    assert hear(sphinx, flite("what time is it", "slt")).text == "what time is it"


def test_unknown_words_leave_their_phrase_out(sphinx: PocketSphinx) -> None:
    result = hear(sphinx, flite("what time is it", "slt"), ("zzyzx qwrt", "what (time | qwrt) is it"))
    assert (result.source, result.text) == ("grammar", "what time is it")
    assert hear(sphinx, flite("what time is it", "slt"), ("zzyzx qwrt",)).source == "general"


def test_other_languages_are_refused_with_what_knows_them(sphinx: PocketSphinx) -> None:
    with pytest.raises(LanguageMissing, match="nearsight models pull faster-whisper-small"):
        PocketSphinx("de")
    for languages in (("es",), ("en", "es-MX")):
        with pytest.raises(LanguageMissing, match=f"'{languages[-1]}', only for American English"):
            sphinx.stream(languages=languages)
    stream = sphinx.stream(languages=("en-GB",))
    stream.accept(flite("what time is it", "slt"))
    heard = stream.final(Stop())
    assert (heard.text, heard.language) == ("what time is it", "en")


def test_spelling_out() -> None:
    assert spell_out("[please] read (this | it [now])") == {
        ("read", "this"),
        ("read", "it"),
        ("read", "it", "now"),
        ("please", "read", "this"),
        ("please", "read", "it"),
        ("please", "read", "it", "now"),
    }
    assert spell_out("read the {item}") == set()
    for wrong in ("read (this", "read this)", "read [this)"):
        with pytest.raises(ValueError, match="brackets"):
            spell_out(wrong)
    with pytest.raises(ValueError, match="ways"):
        spell_out("(a | b) " * 13)


@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple), min_size=1, max_size=20))
def test_the_automaton_says_just_the_sequences(sequences: set[tuple[str, ...]]) -> None:
    net = automaton(sequences)
    arcs: dict[int, list[tuple[int, str | None]]] = {}
    for source, target, _, *word in net.transitions:
        arcs.setdefault(source, []).append((target, word[0] if word else None))
    said: list[tuple[str, ...]] = []
    waiting: list[tuple[int, tuple[str, ...]]] = [(net.start, ())]
    while waiting:
        state, words = waiting.pop()
        if state == net.final:
            said.append(words)
        waiting += [(target, (*words, word) if word else words) for target, word in arcs.get(state, [])]
    assert sorted(said) == sorted(sequences)


def test_what_is_believed() -> None:
    phrases = frozenset({("read", "this")})

    def path(*words: tuple[str, int, int], score: float = -4.0) -> list[Segment]:
        return [Segment(word, start, end, score * (end - start), 1.0) for word, start, end in words]

    command = path(("<sil>", 0, 20), ("read", 20, 50), ("this", 50, 80))
    general = path(("<sil>", 0, 20), ("reed", 20, 52), ("these", 52, 80))
    assert believe(command, general, phrases, lambda word: 3) > 0.5
    assert believe(command[:2], general, phrases, lambda word: 3) == 0, "half a phrase"
    assert believe(command, path(("long", 0, 150)), phrases, lambda word: 3) == 0, "speech left over"
    assert believe(command, general, phrases, lambda word: 1) == 0, "stretched words"
    assert believe(path(("read", 20, 50), ("this", 50, 80), score=-9.0), general, phrases, lambda word: 3) == 0, "unlikely"
    assert believe([], [], phrases, lambda word: 3) == 0
    doubtful = path(("<sil>", 0, 20), ("read", 20, 50), ("this", 50, 80), score=-4.8)
    assert believe(doubtful, general, phrases, lambda word: 3) == 0, "less likely, and the other hears something else"
    alike = path(("<sil>", 0, 20), ("read", 20, 50), ("the", 50, 80))
    assert believe(doubtful, alike, phrases, lambda word: 3) >= 0.5, "less likely, but both hear much the same"


def test_the_grammar_is_the_same_in_every_process() -> None:
    program = (
        "from models.sphinx_grammar import automaton, spell_out;"
        "print(automaton(spell_out('(read | show) [me] (this | that | the) (sign | label | screen)')))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1
