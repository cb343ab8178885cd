"""A session bundle made by code, through the real recorder: three turns, pictures, a tap, a notice and a fault."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.config import Config, RecordingConfig
from edge.events import (
    BargedIn,
    EndpointReached,
    Event,
    Failed,
    FinalHeard,
    FrameChosen,
    Notice,
    PartialHeard,
    PhotoTaken,
    SessionEnded,
    SessionStarted,
    Speaking,
    StateChanged,
    TextSeen,
    TurnEnded,
    Woke,
)
from edge.runtime.recording import Recorder
from edge.values import AudioChunk, Pcm, Pixels, TurnTimings, VideoFrame

HOSTILE = '<script>alert("x")</script> & "50 %"'
PHOTO = "Photo taken. It says:"
SECONDS = 20


def sign(text: str, width: int = 960, height: int = 720) -> Pixels:
    """Draws a picture with text."""
    shade = np.linspace(150, 215, width, dtype=np.uint8)
    pixels = np.ascontiguousarray(np.dstack([np.tile(shade, (height, 1))] * 3))
    cv2.rectangle(pixels, (width // 8, height // 4), (width * 7 // 8, height * 3 // 4), (60, 96, 32), -1)
    cv2.putText(pixels, text, (width // 6, height * 11 // 20), cv2.FONT_HERSHEY_SIMPLEX, width / 500, (240, 248, 240), 4)
    return pixels


def speech(seconds: float, seed: int) -> Pcm:
    """Noise with the rhythm of syllables."""
    number = round(seconds * 16_000)
    t = np.arange(number) / 16_000
    rhythm = np.clip(np.sin(2 * np.pi * (2.7 + seed % 3 / 4) * t + seed), 0, 1) * np.sin(np.pi * t / seconds) ** 0.4
    pcm: Pcm = (rhythm * np.random.default_rng(seed).normal(0, 5200, number)).clip(-32768, 32767).astype(np.int16)
    return pcm


def turn(
    number: int, spoken: float, asked: str, answer: str, skill: str, first: float, heard: str | None = None
) -> list[Event]:
    """The events of a turn whose question ends at ``spoken`` seconds and whose reply starts ``first`` ms later."""

    def at(ms: float) -> int:
        return round((spoken + ms / 1000) * 1e9)

    marks = TurnTimings(
        endpoint=212.0,
        asr_final=188.4,
        first_token=first - 61,
        first_sentence=first - 48.5,
        first_audio=first - 12,
        voice_to_voice=first,
    )
    words = asked.split()
    return [
        Woke(t_ns=at(-1900), by="hey_jarvis"),
        StateChanged(t_ns=at(-1900), state="listening"),
        *(PartialHeard(t_ns=at(-1200 + 300 * k), text=" ".join(words[: k + 2])) for k in range(3)),
        FinalHeard(t_ns=at(188), text=asked, confidence=0.91, source="grammar"),
        EndpointReached(t_ns=at(212), reason="end_of_turn", silence_ms=208.0),
        StateChanged(t_ns=at(212), state="thinking"),
        FrameChosen(t_ns=at(213), index=round(spoken * 5) - 2, age_ms=412.0, sharpness=812.4),
        Speaking(t_ns=at(first), turn=number, text=answer),
        StateChanged(t_ns=at(first), state="speaking"),
        *([BargedIn(t_ns=at(first + 1400), turn=number, played_ms=1380.0, heard=heard)] if heard is not None else []),
        TurnEnded(
            t_ns=at(first + (1400 if heard is not None else 2600)),
            turn=number,
            transcript=asked,
            skill=skill,
            answer=answer,
            heard=answer if heard is None else heard,
            interrupted=heard is not None,
            timings_ms=marks,
        ),
        StateChanged(t_ns=at(first + 2600), state="idle"),
    ]


def script() -> list[Event]:
    """All events of the session, in order."""
    events: list[Event] = [
        SessionStarted(t_ns=0, profile="bundled", link="file:question.wav", version="0.1.0"),
        StateChanged(t_ns=0, state="idle"),
        Notice(t_ns=1_000_000, code="recording", text="This session is being recorded."),
        *turn(1, 3.0, "what does the sign say", "The sign says: Platform 9, night trains.", "read_text", 236.0),
        TextSeen(t_ns=3_230_000_000, lines=("PLATFORM 9", "night trains", HOSTILE)),
        *turn(2, 9.2, "when does the next train leave", "I do not know: the sign does not say.", "ask", 871.0),
        Failed(t_ns=12_900_000_000, code="engine_hung", text=f"no result from text_reader {HOSTILE}", retryable=True),
        *turn(3, 15.5, "take a photo and read it to me", f"{PHOTO} {'way out, ' * 12}", "photo", 402.0, heard=PHOTO),
        PhotoTaken(t_ns=15_800_000_000, path="photos/0001.jpg"),
        SessionEnded(t_ns=SECONDS * 1_000_000_000, reason="link", drops={"camera": 3}),
    ]
    return sorted(events, key=lambda event: event.t_ns)


def record(folder: Path) -> Path:
    """Writes the bundle; call it on a virtual loop, where nothing is dropped. Gives its folder."""
    recorder = Recorder(RecordingConfig(folder=str(folder)))
    path = recorder.open(Config(), {"recogniser": "pocketsphinx 5.1.1 en-us", "voice": "espeak-ng 1.52"})
    microphone = np.zeros(SECONDS * 16_000, np.int16)
    for spoken in (3.0, 9.2, 15.5):
        asked = speech(1.8, round(spoken))
        microphone[round(spoken * 16_000) - len(asked) :][: len(asked)] = asked
    for start in range(0, len(microphone), 320):
        recorder.sound(AudioChunk(microphone[start : start + 320], start))
    for began, seconds in ((3.236, 2.4), (10.071, 2.3), (15.902, 1.4)):
        reply = speech(seconds, 11)
        for at in range(0, len(reply), 320):
            recorder.played(reply[at : at + 320], round(began * 16_000) + at)
    pictures = [sign("PLATFORM 9"), sign("NIGHT TRAINS"), sign("WAY OUT", 480, 800)]
    for index in range(SECONDS * 5):
        recorder.frame(VideoFrame(pictures[min(2, index // 36)], index * 200_000_000, index))
    recorder.tap("tap", 12_000_000_000)
    assert recorder.photo(VideoFrame(pictures[2], 0)) == "photos/0001.jpg"
    for event in script():
        recorder.event(event)
    recorder.close({"drops": {"camera": 3}, "lanes_free_ms": {"language_model": [12.4, 80.1]}})
    return path
