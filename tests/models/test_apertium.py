"""Apertium: the pipe that is kept open, with programs that die, hang and write for ever, and with the real ones."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EngineFailed, EngineHung, EngineMissing, LanguageMissing, TooLarge
from edge.ports import Stop
from edge.translation import TranslateRequest
from models.apertium import LONGEST, Apertium
from models.apertium_modes import find, installed, package
from models.apertium_text import END, PIECE, cased_like, cleaned, decode, encode, pieces, prepared
from tests.models.apertium_here import ECHO, mode, needs_apertium

pytestmark = pytest.mark.real_time


def told(engine: Apertium, text: str, source: str = "en", target: str = "es", stop: Stop | None = None) -> str:
    return "".join(engine.translate(TranslateRequest(text, source, target), Stop() if stop is None else stop))


@pytest.fixture
def real() -> Iterator[Apertium]:
    needs_apertium()
    engine = Apertium()
    engine.open()
    yield engine
    engine.close()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Apertium]:
    """An engine on a folder of modes that the test writes: ``eng-spa`` answers in capitals."""
    mode(tmp_path, "eng-spa", ECHO)
    engine = Apertium(modes=tmp_path, time_limit=5.0)
    engine.open()
    yield engine
    engine.close()


# -- modes -------------------------------------------------------------------------------------------------------------------


def test_modes_are_found_by_any_tag_of_their_languages(tmp_path: Path) -> None:
    for stem in (
        "eng-spa",
        "spa-eng",
        "spa-eng_US",
        "oc_aran-es",
        "eng-hbs",
        "eng-hbs_HR",
        "swe-nob",
        "eng-spa-morph",
        "README",
    ):
        (tmp_path / f"{stem}.mode").write_text("lt-proc -z 'a b.bin' | apertium-tagger -g $2 'x' | lt-proc $1 'y'")
    modes = installed(tmp_path)
    assert len(modes) == 7

    def name(source: str, target: str) -> str:
        found = find(source, target, modes)
        return found.name if found else ""

    assert name("en", "es") == name("en-GB", "es-MX") == name("eng", "spa") == "eng-spa"
    assert (name("es", "en"), name("es", "en-US"), name("es-419", "en_US")) == ("spa-eng", "spa-eng_US", "spa-eng_US")
    assert (name("en", "hr-HR"), name("en", "sr"), name("sv", "no")) == ("eng-hbs_HR", "eng-hbs", "swe-nob")
    assert name("oc", "es") == "oc_aran-es"
    assert name("en", "de") == name("sv", "en") == ""
    assert modes[0].programs() == [
        ["lt-proc", "-z", "a b.bin"],
        ["apertium-tagger", "-z", "-g", "x"],
        ["lt-proc", "-z", "-n", "y"],
    ]


def test_a_pair_that_is_not_there_names_what_adds_it(tmp_path: Path) -> None:
    engine = Apertium(modes=tmp_path)
    assert engine.missing("en", "es").endswith("sudo apt-get install apertium-eng-spa")
    assert engine.missing("pt-BR", "es").endswith("sudo apt-get install apertium-es-pt")
    assert engine.missing("hr", "en").endswith("sudo apt-get install apertium-hbs-eng")
    assert engine.missing("en", "eu").endswith("run nearsight models pull --translate en-eu"), "that pair has one direction"
    assert "same language" in engine.missing("en-US", "en-GB")
    assert package("de", "en") == ""
    with pytest.raises(EngineMissing, match="sudo apt-get install apertium-eng-spa"):
        engine.open()
    mode(tmp_path, "eng-spa", ECHO)
    assert engine.missing("en", "es") == "", "an installed pair is seen at once"
    engine.open()
    mode(tmp_path, "spa-eng", ECHO)
    assert told(engine, "Hola", "es", "en") == "HOLA"
    engine.close()


def test_a_mode_whose_programs_are_not_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "eng-spa.mode").write_text(f"'{tmp_path}/lt-nothing' $1")
    (tmp_path / "spa-eng.mode").write_text("lt-proc | | lt-proc")
    engine = Apertium(modes=tmp_path)
    engine.open()
    files = len(os.listdir("/proc/self/fd"))
    with pytest.raises(EngineMissing, match="lt-nothing"):
        told(engine, "hello")
    with pytest.raises(EngineFailed, match="a command is empty"):
        told(engine, "hola", "es", "en")
    assert len(os.listdir("/proc/self/fd")) == files


# -- text --------------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_what_no_program_changes_comes_back_whole(text: str) -> None:
    clean = cleaned(text)
    assert decode(encode(clean)) == clean
    assert not set("\0\n") & set(encode(clean).decode().removesuffix(END))


@given(st.text(st.sampled_from("ab .!?"), max_size=5 * PIECE))
def test_pieces_are_bounded_and_lose_nothing(text: str) -> None:
    text = cleaned(text * 20)
    cut = list(pieces(text))
    assert all(0 < len(piece) <= PIECE for piece in cut)
    assert "".join("".join(cut).split()) == "".join(text.split())


def test_lower_case_words_get_what_the_tagger_wants_and_lose_it_again() -> None:
    assert prepared("i think i'm late, said i", "en") == "I think I'm late, said I"
    assert prepared("via wi-fi i-95 phase i-b hi", "en") == "Via wi-fi i-95 phase i-b hi"
    assert prepared("i gatti", "it") == "I gatti"
    assert prepared("iPhone", "en") == "iPhone"
    assert cased_like("No me gusta", "i do not like it") == "no me gusta"
    assert cased_like("no me gusta.", "I do not like it.") == "No me gusta."
    assert cased_like("«ya»", "“Yes”") == "«Ya»"
    assert cased_like("No fumar", "NO SMOKING") == "NO FUMAR"


# -- the pipe ----------------------------------------------------------------------------------------------------------------


def test_one_process_serves_all_requests_and_close_ends_it(made: Apertium) -> None:
    assert made.pids == ()
    assert told(made, "Good day") == "GOOD DAY"
    pids = made.pids
    assert told(made, "Good night") == "GOOD NIGHT"
    assert made.pids == pids and len(pids) == 1
    made.close()
    made.close()
    assert not psutil.pid_exists(pids[0])
    with pytest.raises(EngineFailed, match="not open"):
        told(made, "x")


def test_killed_programs_are_started_again_and_nothing_is_lost(made: Apertium) -> None:
    assert told(made, "One") == "ONE"
    for pid in made.pids:
        os.kill(pid, signal.SIGKILL)
    assert told(made, "Two") == "TWO"


def test_programs_that_die_at_a_request_are_tried_twice(tmp_path: Path) -> None:
    flag = tmp_path / "died"
    body = f"""
if b"Once" in request and not os.path.exists({str(flag)!r}):
    open({str(flag)!r}, "w").close()
    os._exit(3)
if b"Always" in request:
    sys.stderr.write("Error: Malformed input stream.\\n"); sys.stderr.flush()
    os._exit(1)
{ECHO}"""
    engine = Apertium(modes=mode(tmp_path, "eng-spa", body))
    engine.open()
    try:
        assert told(engine, "Once") == "ONCE"
        with pytest.raises(EngineFailed, match=r"broke 2 times.*Malformed input stream"):
            told(engine, "Always")
        assert told(engine, "Then") == "THEN"
    finally:
        engine.close()


def test_programs_that_hang_or_write_for_ever_are_ended(tmp_path: Path) -> None:
    body = f"""
if b"Hang" in request:
    time.sleep(60)
while b"Flood" in request:
    os.write(1, b"x" * 4096)
{ECHO}"""
    engine = Apertium(modes=mode(tmp_path, "eng-spa", body), time_limit=0.5)
    engine.open()
    try:
        assert told(engine, "Good") == "GOOD"
        (pid,) = engine.pids
        with pytest.raises(EngineHung, match=r"nothing within 0\.5 s"):
            told(engine, "Hang")
        assert not psutil.pid_exists(pid)
        with pytest.raises(EngineFailed, match="bytes come of"):
            told(engine, "Flood")
        assert told(engine, "Good") == "GOOD"
    finally:
        engine.close()


def test_a_raised_flag_ends_a_request_that_hangs(tmp_path: Path) -> None:
    body = f"if b'Hang' in request: time.sleep(60)\n{ECHO}"
    engine = Apertium(modes=mode(tmp_path, "eng-spa", body), time_limit=60)
    engine.open()
    try:
        assert told(engine, "Good") == "GOOD"
        stop = Stop()
        timer = threading.Timer(0.2, stop.set)
        timer.start()
        began = time.monotonic()
        assert told(engine, "Hang", stop=stop) == ""
        assert time.monotonic() - began < 10
        timer.join()
        assert told(engine, "Good") == "GOOD"
    finally:
        engine.close()


def test_an_answer_that_comes_after_the_flag_is_not_the_next_ones(tmp_path: Path) -> None:
    body = f"if b'Slow' in request: time.sleep(0.02)\n{ECHO}"
    engine = Apertium(modes=mode(tmp_path, "eng-spa", body))
    engine.open()
    try:
        assert told(engine, "Good") == "GOOD"
        for _ in range(5):
            stop = Stop()
            timer = threading.Timer(0.01, stop.set)
            timer.start()
            told(engine, "Slow", stop=stop)
            timer.join()
            assert told(engine, "Next") == "NEXT"
    finally:
        engine.close()


def test_an_answer_that_is_cut_short_is_asked_for_again(tmp_path: Path) -> None:
    flag = tmp_path / "cut"
    body = f"""
if not os.path.exists({str(flag)!r}):
    open({str(flag)!r}, "w").close()
    os.write(1, request[:3] + b"\\0"); os._exit(0)
{ECHO}"""
    engine = Apertium(modes=mode(tmp_path, "eng-spa", body))
    engine.open()
    try:
        assert told(engine, "Good day") == "GOOD DAY"
    finally:
        engine.close()


def test_few_directions_are_kept(tmp_path: Path) -> None:
    targets = ["spa", "cat", "glg", "epo", "hbs"]
    for target in targets:
        mode(tmp_path, f"eng-{target}", ECHO)
    engine = Apertium(modes=tmp_path)
    engine.open()
    try:
        first = [told(engine, "Hi", "en", target) and engine.pids[-1] for target in targets]
        assert len(engine.pids) == 4 and first[0] not in engine.pids
        assert told(engine, "Hi", "en", "spa") == "HI"
        assert len(engine.pids) == 4
    finally:
        engine.close()
    assert not any(psutil.pid_exists(int(pid)) for pid in first)


def test_lines_stay_and_long_texts_are_cut(made: Apertium) -> None:
    assert told(made, " One\n\n Two\0\tthree \n…\n") == "ONE\n\nTWO THREE\n…"
    text = "A b c. " * 1000
    assert told(made, text) == text.strip().upper()
    with pytest.raises(TooLarge):
        told(made, "a" * (LONGEST + 1))
    with pytest.raises(LanguageMissing, match="apertium-spa-cat"):
        told(made, "x", "es", "ca")


# -- the real one ------------------------------------------------------------------------------------------------------------


def test_it_translates_both_ways(real: Apertium) -> None:
    assert told(real, "The big house is red.") == "La casa grande es roja."
    assert told(real, "La casa grande es roja.", "es", "en") == "The big house is red."
    assert told(real, "Hello, where is the red house?").endswith("la casa roja?")
    assert told(real, "el color", "es", "en") == "the colour"
    assert told(real, "el color", "es", "en-US") == "the color"
    assert real.info.version and "en-es" in real.info.details["pairs"]


def test_words_in_lower_case_are_understood_like_a_sentence(real: Apertium) -> None:
    assert told(real, "i do not like it") == "no me gusta"
    assert told(real, "I do not like it.") == "No me gusta."
    assert told(real, "i saw mister smith and i liked him").split()[0] != "i"


@pytest.mark.parametrize(
    "text",
    [
        "$5 / <b> {x} [y] ^z \\ @me",
        "~el de ~ x~y",
        "[[t:b:1]]red[[/]]",
        "[<STREAMCMD:FLUSH>] red",
        "😀 🇺🇦 𝜆 中文 עברית",
        "*x #y +z=100%",
    ],
)
def test_signs_that_mean_something_to_it_come_back(real: Apertium, text: str) -> None:
    found = told(real, text)
    for sign in {sign for sign in text if not sign.isspace() and not (sign.isascii() and sign.isalnum())}:
        assert found.count(sign) == text.count(sign), f"{sign} of {text} in {found}"


def test_unknown_words_stay_without_a_mark(real: Apertium) -> None:
    assert told(real, "a red blorf") == "un rojo blorf"


SENTENCES = [
    "she told me that she would come",
    "Where is the station?",
    "i have two red cars and a house",
    "He said: hello.",
    "they were tired",
    "But she is the reciter",
    "call me",
    "the woman saw the man who was sleeping",
]


def test_a_request_is_answered_alike_after_any_others(real: Apertium) -> None:
    first = {text: told(real, text) for text in SENTENCES}
    order = random.Random(0)
    for _ in range(5):
        for text in order.sample(SENTENCES, len(SENTENCES)):
            assert told(real, text) == first[text]


def test_a_killed_part_costs_no_word(real: Apertium) -> None:
    expected = [told(real, text) for text in SENTENCES]
    found = []
    for place, text in enumerate(SENTENCES):
        os.kill(real.pids[place % len(real.pids)], signal.SIGKILL)
        found.append(told(real, text))
    assert found == expected


def test_a_thousand_requests_leak_nothing(real: Apertium) -> None:
    def used() -> int:
        return sum(psutil.Process(pid).memory_info().rss for pid in real.pids)

    for text in SENTENCES * 10:
        told(real, text)
    pids, files, memory = real.pids, len(os.listdir("/proc/self/fd")), used()
    for text in SENTENCES * 125:
        told(real, text)
    assert real.pids == pids
    assert len(os.listdir("/proc/self/fd")) == files
    assert used() < 1.1 * memory
