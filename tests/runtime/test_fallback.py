"""An engine elsewhere with one here behind it, and what the wearer hears of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from edge.errors import EngineMissing, LanguageMissing, RemoteFailed, RemoteRefused, RemoteRejected
from edge.events import RemoteChanged, TurnEnded
from edge.policy.breaker import Breaker, BreakerSettings
from edge.ports import RecogniserStream, Stop
from edge.runtime.fallback import (
    FallbackLanguageModel,
    FallbackRecogniser,
    FallbackVision,
    FallbackVoice,
    FallbackWake,
)
from edge.runtime.lane import Lane
from edge.runtime.session import Session
from edge.values import EngineInfo, Message, Pcm, Pixels, Prompt, SpeechChunk, Transcript, VoiceStyle
from models.fakes import Fake, FakeLanguageModel, FakeRecogniser, FakeVoice, FakeWake, tone
from tests.runtime.stage import play, wake_mark

SERVER = "attic.lan:8080"
PROMPT = Prompt((Message("user", "how are you"),))
STYLE = VoiceStyle()


class Away:
    """Makes an engine one that is elsewhere: ``fails`` holds, for each request, after how many items it fails; None works."""

    server = SERVER

    def __init__(self, engine: Any, fails: Sequence[int | None] = (), error: Callable[[], RemoteFailed] | None = None) -> None:
        self.engine = engine
        self.fails = list(fails)
        self.error = error or (lambda: RemoteFailed(f"{self.server} cannot be reached"))
        self.asked = 0

    @property
    def info(self) -> EngineInfo:
        info: EngineInfo = self.engine.info
        return dataclasses.replace(info, name="away", remote=self.server)

    def open(self) -> None:
        self.engine.open()

    def close(self) -> None:
        self.engine.close()

    def next(self) -> int | None:
        self.asked += 1
        return self.fails.pop(0) if self.fails else None

    def _cut(self, items: Iterator[Any], after: int | None) -> Iterator[Any]:
        for at, item in enumerate(items):
            if at == after:
                raise self.error()
            yield item
        if after is not None:
            raise self.error()

    def prefill(self, prompt: Prompt, stop: Stop) -> None:
        if self.next() is not None:
            raise self.error()

    def generate(self, prompt: Prompt, stop: Stop) -> Iterator[str]:
        return self._cut(self.engine.generate(prompt, stop), self.next())

    def count(self, text: str) -> int:
        return int(self.engine.count(text))

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        return self._cut(self.engine.synthesize(text, style, stop), self.next())

    def prepare(self, pixels: Pixels, stop: Stop) -> None:
        if self.next() is not None:
            raise self.error()

    def answer(
        self, pictures: Sequence[Pixels], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        return self._cut(self.engine.generate(prompt, stop), self.next())

    def detect(self, pcm: Pcm) -> str | None:
        if self.next() is not None:
            raise self.error()
        word: str | None = self.engine.detect(pcm)
        return word

    def reset(self) -> None:
        self.engine.reset()

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        return AwayStream(self, self.engine.stream(phrases=phrases, languages=languages))


class AwayStream:
    """An utterance elsewhere; every ``accept`` and ``final`` is a request."""

    def __init__(self, owner: Away, stream: RecogniserStream) -> None:
        self.owner = owner
        self.stream = stream

    def accept(self, pcm: Pcm) -> Transcript | None:
        if self.owner.next() is not None:
            raise self.owner.error()
        return self.stream.accept(pcm)

    def final(self, stop: Stop) -> Transcript:
        if self.owner.next() is not None:
            raise self.owner.error()
        return self.stream.final(stop)

    def close(self) -> None:
        self.stream.close()


class Clock:
    """Seconds, turned by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def model(answer: str) -> FakeLanguageModel:
    return FakeLanguageModel([answer])


def said(engine: FallbackLanguageModel, stop: Stop | None = None) -> str:
    return "".join(engine.generate(PROMPT, stop or Stop()))


def test_the_local_engine_answers_where_the_server_fails_before_its_first_word() -> None:
    clock = Clock()
    remote = Away(model("from afar"), [0, 0, 0])
    engine = FallbackLanguageModel(remote, model("from here"), Breaker(BreakerSettings(failures=2, rest=5)), clock)
    assert engine.info.remote == SERVER and engine.info.details["fallback"] == "fake FakeLanguageModel"
    assert said(engine) == "from here" and engine.info.remote == SERVER, "one failure is nothing to speak of"
    assert said(engine) == "from here" and engine.info.remote == ""
    assert said(engine) == "from here" and remote.asked == 2, "the server rests"
    clock.now = 5
    assert said(engine) == "from here" and remote.asked == 3, "one question tries it"
    clock.now = 15
    assert said(engine) == "from afar" and engine.info.remote == SERVER


def test_an_answer_that_broke_off_is_told_and_not_begun_again() -> None:
    engine = FallbackLanguageModel(Away(model("from far away"), [2]), model("from here"))
    given = []
    with pytest.raises(RemoteFailed, match="cannot be reached"):
        for piece in engine.generate(PROMPT, Stop()):
            given.append(piece)
    assert "".join(given) == "from far" and said(engine) == "from far away"


def test_without_a_local_engine_the_failure_is_told_and_the_server_rests_all_the_same() -> None:
    remote = Away(model("from afar"), [0], lambda: RemoteRefused(f"{SERVER}: 401: the key is wrong"))
    engine = FallbackLanguageModel(remote, None, clock=Clock())
    with pytest.raises(RemoteRefused, match="401"):
        said(engine)
    with pytest.raises(RemoteFailed, match=f"{SERVER} failed a moment ago"):
        said(engine)
    assert remote.asked == 1


def test_a_request_that_is_rejected_is_answered_here_and_the_next_one_there() -> None:
    rejected = Away(model("from afar"), [0, 0, 0], lambda: RemoteRejected(f"{SERVER} rejects the request (400)"))
    engine = FallbackLanguageModel(rejected, model("from here"))
    assert [said(engine) for _ in range(4)] == ["from here"] * 3 + ["from afar"] and rejected.asked == 4


def test_a_failure_after_the_stop_is_the_stops_and_counts_for_nothing() -> None:
    stop = Stop()
    engine = FallbackLanguageModel(Away(model("a b c"), [1]), model("from here"), Breaker(BreakerSettings(failures=1)))
    with pytest.raises(RemoteFailed):
        for _ in engine.generate(PROMPT, stop):
            stop.set()
    assert engine.info.remote == SERVER and said(engine) == "a b c"


def test_a_prefill_that_fails_is_nobodys_business_and_counts() -> None:
    engine = FallbackLanguageModel(Away(model("x"), [0, 0]), None, Breaker(BreakerSettings(failures=2)))
    engine.prefill(PROMPT, Stop())
    engine.prefill(PROMPT, Stop())
    with pytest.raises(RemoteFailed, match="left alone"):
        said(engine)


def test_a_sentence_that_broke_off_is_said_again_by_the_local_voice() -> None:
    engine = FallbackVoice(Away(FakeVoice(), [3]), FakeVoice(per_word=0.1))
    chunks = list(engine.synthesize("two words", STYLE, Stop()))
    assert sum(len(chunk.pcm) for chunk in chunks) == 3 * 320 + 2 * 1600, "three chunks from afar, then the whole sentence"


def test_what_was_said_is_recognised_here_once_the_server_is_gone() -> None:
    sound = [tone(0.1) for _ in range(10)]
    for broken in (0, 4, 10):  # at the first sound, in the middle, at the final
        remote = Away(FakeRecogniser(["from afar"]), [None] * broken + [0])
        engine = FallbackRecogniser(remote, FakeRecogniser(["heard here"]))
        stream = engine.stream()
        partials = [stream.accept(pcm) for pcm in sound]
        assert stream.final(Stop()).text == "heard here", f"the whole utterance is there, broken at request {broken}"
        assert partials[-1] is None or partials[-1].text
        stream.close()
        again = engine.stream()
        assert [again.accept(pcm) for pcm in sound] and again.final(Stop()).text == "", "the script of the server is at its end"


def test_both_recognisers_are_asked_for_the_languages_of_an_utterance() -> None:
    there, here = FakeRecogniser(["uno"], knows=["es"]), FakeRecogniser(["uno", "dos"], knows=["es"])
    engine = FallbackRecogniser(Away(there, [0]), here)
    stream = engine.stream(languages=("es",))
    stream.accept(tone(0.1))
    assert stream.final(Stop()).language == "es"
    assert there.asked == here.asked == [("es",)]
    with pytest.raises(LanguageMissing):
        FallbackRecogniser(Away(there), here).stream(languages=("fr",))


def test_a_local_recogniser_without_the_language_takes_nothing_over() -> None:
    engine = FallbackRecogniser(Away(FakeRecogniser(["uno"]), [0]), FakeRecogniser(["one"], knows=["en"]))
    stream = engine.stream(languages=("es",))
    with pytest.raises(RemoteFailed, match=SERVER):
        stream.accept(tone(0.1))


def test_a_pause_is_no_end_for_a_server_either() -> None:
    engine = FallbackRecogniser(Away(FakeRecogniser(["one two"]), [None, None, None, 0]), FakeRecogniser(["here it is"]))
    stream = engine.stream()
    stream.accept(tone(0.5))
    stream.final(Stop())
    stream.accept(tone(0.5))
    assert stream.final(Stop()).text == "here it is"


def test_a_wake_word_is_heard_while_the_server_is_away() -> None:
    clock = Clock()
    remote = Away(FakeWake(), [0, 0])
    engine = FallbackWake(remote, FakeWake(), clock=clock)
    assert [engine.detect(wake_mark()) for _ in range(6)] == ["hey_jarvis"] * 6
    assert remote.asked == 2 and engine.info.remote == ""
    clock.now = 5
    assert engine.detect(np.zeros(320, np.int16)) is None and engine.info.remote == SERVER
    engine.reset()


def test_pictures_are_looked_at_here_where_the_server_fails() -> None:
    engine = FallbackVision(Away(model("afar"), [0, 0]), _Seer())
    picture = np.zeros((4, 4, 3), np.uint8)
    engine.prepare(picture, Stop())
    assert "".join(engine.answer([picture], PROMPT, Stop())) == "seen here"


class _Seer(Fake):
    def prepare(self, pixels: Pixels, stop: Stop) -> None:
        """Looks."""

    def answer(
        self, pictures: Sequence[Pixels], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        yield "seen here"


def test_a_local_engine_that_is_not_there_is_done_without() -> None:
    class Missing(FakeLanguageModel):
        def open(self) -> None:
            raise EngineMissing("not installed")

    remote = Away(model("from afar"), [None, 0])
    engine = FallbackLanguageModel(remote, Missing(["never"]))
    engine.open()
    assert said(engine) == "from afar"
    with pytest.raises(RemoteFailed):
        said(engine)
    engine.close()


async def test_the_wearer_is_told_at_the_start_when_it_fails_and_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    remote = Away(model("From afar."), [None, None, 0, 0])
    engine = FallbackLanguageModel(remote, model("From here."), clock=clock)
    lane: Lane[Any] = Lane("language_model", lambda: engine)
    say: list[str] = []
    monkeypatch.setattr(Session, "_tell", lambda self, text: say.append(text))
    async with play(engines=lambda found: dataclasses.replace(found, language_model=lane)) as stage:
        for step in (0.0, 0.0, 0.0, 0.0, 10.0):  # the first request of all was the warm-up's
            clock.now += step
            await stage.session.ask("tell me a story")
        await stage.session.idle()
        told = [(dict(event.ports), event.leaves) for event in stage.of(RemoteChanged)]
        answers = [event.answer for event in stage.of(TurnEnded)]
    assert told == [({"language_model": SERVER}, True), ({}, False), ({"language_model": SERVER}, True)]
    assert answers == ["From afar.", "From here.", "From here.", "From here.", "From afar."]
    assert say == [
        "Answering is done on another computer.",
        "I cannot reach the other computer. From now on answering is done here.",
        "Answering is done on another computer again.",
    ]
