"""Sounds for the echo bench, made by code: voices that read, rooms, coughs, bangs, hums. The same every time."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.ports import Stop
from edge.values import SAMPLE_RATE, Pcm, VoiceStyle, samples
from models.espeak import Espeak
from phone_bridge.media import read_audio

DATA = Path(__file__).parents[3] / "shared" / "data"
ROOMS = ("rir1", "rir2", "rir3", "rir4")
FLITE = ("slt", "rms", "awb", "kal16")
Floats = NDArray[np.float64]

ANSWERS = (
    "The sign says platform nine, trains to the city centre leave every ten minutes.",
    "It is twenty five past three in the afternoon.",
    "I can see a red cup next to a laptop on a wooden table.",
    "The menu lists tomato soup for four dollars, and grilled salmon for eleven.",
    "Please mind the gap, and keep your luggage with you at all times.",
    "I do not know. I can only tell what stands on the paper in front of you.",
    "The label says take two tablets after meals, not more than eight in a day.",
    "There is a door on your left, and a flight of stairs behind it.",
    "The next bus is number forty two, it goes to the harbour and the old market.",
    "That is a bar code. Its number begins with four zero zero six.",
    "Your photo is saved, and it will be there when you look for it.",
    "The letter is from the city library. Three books are due on Friday.",
    "It looks bright outside, mostly green and blue.",
    "The screen shows an error, the printer is out of paper.",
    "I heard you say something about the weather, but I have no forecast here.",
    "The bottle holds half a litre of orange juice, best before the end of May.",
    "Go straight on for two hundred metres, then turn right at the church.",
    "The box reads fragile, this side up, handle with care.",
    "Opening hours are nine to five on weekdays, closed on Sundays and holidays.",
    "A small coffee costs two dollars fifty, a large one is three dollars.",
    "The first line says welcome home, the second line is too blurred to read.",
    "You asked what I can do. I read signs, I tell the time, and I describe colours.",
    "The book on the shelf is called a short history of nearly everything.",
    "Today is Sunday, the twenty second of November.",
)
"""What an assistant says: no command of its own stands in it."""

INTERRUPTIONS = (
    "what does this sign say",
    "no i meant the other one",
    "read the next line please",
    "what time is it",
    "that is not what i asked",
    "how much is the soup",
    "where is the door",
    "tell me about the second one",
    "and what about tomorrow",
    "speak a bit louder",
    "can you read it again",
    "wait a moment",
    "hold on",
    "excuse me",
    "no not that one",
)
LISTENING = ("mm-hm", "uh-huh", "yeah", "okay", "right", "mm", "oh", "i see")
"""Backchannels, as voices can read them."""


@cache
def flite(text: str, voice: str = "slt") -> Pcm:
    """Gives ``text`` read by one of flite's voices."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
        return read_audio(path)


@cache
def espeak(text: str, pitch: float = 1.0, rate: float = 1.0) -> Pcm:
    """Gives ``text`` in the assistant's own voice."""
    voice = _espeak()
    return np.concatenate([chunk.pcm for chunk in voice.synthesize(text, VoiceStyle(pitch=pitch, rate=rate), Stop())])


@cache
def _espeak() -> Espeak:
    voice = Espeak()
    voice.open()
    return voice


def close() -> None:
    """Ends the voice's process."""
    if _espeak.cache_info().currsize:
        _espeak().close()
        _espeak.cache_clear()


def reading(seconds: float, seed: int = 0, espeak_share: float = 0.5) -> tuple[Pcm, list[tuple[int, str]]]:
    """Gives an assistant that answers without end, with pauses, and where each answer begins."""
    random = np.random.default_rng(seed)
    parts: list[Pcm] = []
    said: list[tuple[int, str]] = []
    length = 0
    while length < samples(seconds):
        text = ANSWERS[int(random.integers(len(ANSWERS)))]
        sound = espeak(text) if random.random() < espeak_share else flite(text, FLITE[int(random.integers(len(FLITE)))])
        said.append((length, text))
        pause = np.zeros(samples(float(random.choice([0.15, 0.3, 0.6, 3.0]))), np.int16)
        parts += [at_level(sound, -22.0), pause]
        length += len(sound) + len(pause)
    return np.concatenate(parts)[: samples(seconds)], said


def room(name: str) -> Floats:
    """Gives a room's impulse response from the shared data, scaled to unit energy."""
    response = read_audio(DATA / "rooms" / f"{name}.wav").astype(np.float64)
    scaled: Floats = response / np.sqrt(np.sum(response**2))
    return scaled


def echo(far: Pcm, response: Floats, delay_s: float = 0.06, *, bend: float = 0.0) -> Floats:
    """Gives what a microphone hears of a loudspeaker; ``bend`` is how far the loudspeaker distorts (0 not, 1 much)."""
    sound = far / 32768
    if bend:
        sound = np.tanh(sound * (1 + 6 * bend)) / (1 + 6 * bend)
    size = 1 << (len(sound) + len(response) - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(far)]
    late = np.concatenate([np.zeros(samples(delay_s)), heard])[: len(far)]
    return late * 32768


def rms(sound: Pcm | Floats) -> float:
    """Gives the root mean square of the parts that are not silent."""
    wide = np.asarray(sound, np.float64)
    loud = wide[np.abs(wide) > np.abs(wide).max(initial=0) / 50]
    return float(np.sqrt(np.mean(loud**2))) if len(loud) else 1.0


def at_level(sound: Pcm | Floats, db: float) -> Pcm:
    """Scales a sound to a level, dB of full scale over its loud parts."""
    return whole(np.asarray(sound, np.float64) * (32768 * 10 ** (db / 20) / rms(sound)))


def whole(sound: Floats) -> Pcm:
    """Rounds and clips to int16."""
    pcm: Pcm = np.clip(np.round(sound), -32768, 32767).astype(np.int16)
    return pcm


def noise(length: int, db: float, seed: int = 0) -> Floats:
    """Gives the hiss of a microphone."""
    hiss: Floats = np.random.default_rng(seed).normal(0, 32768 * 10 ** (db / 20), length)
    return hiss


def _shaped(burst: Floats, formants: tuple[float, ...], width: float) -> Floats:
    """Colours noise with resonances (two-pole filters, in parallel), hertz."""
    total = np.zeros_like(burst)
    for formant in formants:
        radius = np.exp(-np.pi * width / SAMPLE_RATE)
        ring = radius ** np.arange(800) * np.sin(2 * np.pi * formant / SAMPLE_RATE * np.arange(1, 801))
        total += np.convolve(burst, ring)[: len(burst)]
    return total


def cough(variant: int) -> Pcm:
    """Gives one to three bursts: an explosive start, a hoarse middle, sometimes a voiced end."""
    random = np.random.default_rng([variant, 1])
    parts: list[Floats] = []
    for _ in range(int(random.integers(1, 4))):
        size = samples(float(random.uniform(0.15, 0.4)))
        at = np.arange(size) / SAMPLE_RATE
        burst = random.normal(0, 1, size) * np.exp(-at * float(random.uniform(8, 25)))
        if random.random() < 0.6:  # the vocal folds close at the end
            pitch = float(random.uniform(90, 240))
            train = (np.diff(np.floor(at * pitch * (1 - 0.4 * at)), prepend=0) > 0) * 6.0
            burst = burst + train * np.clip(at / 0.08, 0, 1) * np.exp(-at * 9)
        formants = (float(random.uniform(400, 900)), float(random.uniform(1100, 1900)), float(random.uniform(2300, 3300)))
        parts += [
            _shaped(burst, formants, float(random.uniform(120, 400))),
            np.zeros(samples(float(random.uniform(0.03, 0.2)))),
        ]
    return at_level(np.concatenate(parts), -20.0)


def throat(variant: int) -> Pcm:
    """Gives a throat being cleared: a rough, low, voiced noise of half a second."""
    random = np.random.default_rng([variant, 2])
    size = samples(float(random.uniform(0.3, 0.8)))
    at = np.arange(size) / SAMPLE_RATE
    rough = 1 + 0.8 * np.sign(np.sin(2 * np.pi * float(random.uniform(25, 60)) * at))
    burst = random.normal(0, 1, size) * rough * np.hanning(size)
    return at_level(_shaped(burst, (float(random.uniform(250, 500)), float(random.uniform(900, 1400))), 200.0), -22.0)


def bang(variant: int) -> Pcm:
    """Gives a door or a dropped thing: a click and a low ring."""
    random = np.random.default_rng([variant, 3])
    size = samples(float(random.uniform(0.2, 0.7)))
    at = np.arange(size) / SAMPLE_RATE
    sound = random.normal(0, 1, size) * np.exp(-at * float(random.uniform(20, 80)))
    for _ in range(3):
        sound += 0.8 * np.sin(2 * np.pi * float(random.uniform(60, 700)) * at) * np.exp(-at * float(random.uniform(6, 20)))
    return at_level(sound, -16.0)


def hum(variant: int) -> Pcm:
    """Gives "mm-hm" without a voice's words: one or two hummed tones through a closed mouth, the second higher."""
    random = np.random.default_rng([variant, 4])
    pitch = float(random.uniform(90, 250))
    parts: list[Floats] = []
    for step in (1.0, float(random.uniform(1.05, 1.4)))[: 1 + int(random.random() < 0.75)]:
        size = samples(float(random.uniform(0.12, 0.35)))
        at = np.arange(size) / SAMPLE_RATE
        glide = pitch * step * (1 + float(random.uniform(-0.15, 0.15)) * at / at[-1])
        phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
        tones = [np.sin(k * phase) / k**1.8 for k in range(1, 16)]
        parts += [np.sum(tones, axis=0) * np.hanning(size) ** 0.5, random.normal(0, 0.01, samples(0.05))]
    return at_level(np.concatenate(parts), -24.0)


def disturbance(variant: int) -> tuple[str, Pcm]:
    """Gives the kind and the sound of one of many noises that people make without meaning anybody."""
    kinds = (cough, throat, bang, hum)
    kind = kinds[variant % len(kinds)]
    return kind.__name__, kind(variant)
