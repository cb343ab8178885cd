"""``bench turn``: what the runtime adds to engines whose cost is declared.

The same costs were measured through peers' runtimes (pipecat 1.14: 611 ms, livekit-agents 1.8.9: 592 ms voice to voice on two
such cores): recognition 100 ms after the hint of silence, first token 150 ms, 10 ms a token, first sound 80 ms. The turn ends
after 200 ms of silence when the end-of-turn model agrees, as theirs does. The critical path is computed from the pure
policies alone; the overhead is what a whole session takes beyond it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from edge import app
from edge.bench.stats import machine, spread
from edge.cli import loop
from edge.cli.output import Output
from edge.config import Config, TurnsConfig
from edge.events import TurnEnded
from edge.household import session
from edge.policy.sentences import Sentences
from edge.policy.signals import Ended, Hinted
from edge.policy.turns import TurnPolicy
from edge.ports import Stop
from edge.runtime import virtual
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.runtime.told import Told
from edge.skill import Asking
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Message, Prompt

RECOGNITION_S, FIRST_TOKEN_S, TOKEN_S, FIRST_AUDIO_S = 0.1, 0.15, 0.01, 0.08
QUESTION_S = 0.8
ANSWER = " ".join(f"This is sentence number {number}." for number in range(6))
QUESTION = "tell me what you think about the weather"
TURNS = TurnsConfig(wake=False)


def critical_path() -> float:
    """Seconds from the last sample of speech to the first sound, for a runtime that costs nothing."""
    policy = TurnPolicy(TURNS)
    speech = round(QUESTION_S * SAMPLE_RATE)
    hint = end = at = 0
    while not end:
        for signal in policy.window(0.9 if at < speech else 0.0, at, at + CHUNK_SAMPLES):
            hint = signal.at if isinstance(signal, Hinted) else hint
            end = signal.at if isinstance(signal, Ended) else end
            if isinstance(signal, Hinted):
                policy.end_of_turn(1.0, signal.at)
        at += CHUNK_SAMPLES
    sentences, tokens = Sentences(), 0
    for tokens, word in enumerate(ANSWER.split(), 1):
        if sentences.push(word if tokens == 1 else f" {word}"):
            break
    thinking = RECOGNITION_S + FIRST_TOKEN_S + (tokens - 1) * TOKEN_S + FIRST_AUDIO_S
    return max((end - speech) / SAMPLE_RATE, (hint - speech) / SAMPLE_RATE + thinking)


class Think:
    """Passes the question to the language model and its answer on: a skill that costs nothing."""

    name = "ask"
    summary = "answer"
    phrases: Sequence[str] = ()
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """The model's answer, as it comes."""
        async for piece in asking.think(Prompt((Message("user", asking.transcript),))):
            yield piece


async def measure(turns: int, spend: Callable[[float, Stop], None]) -> list[float]:
    """Asks ``turns`` questions of a session with scripted engines; gives their voice-to-voice times in seconds."""
    fakes = app.fakes()
    engines = Engines(
        ears=Lane("ears", lambda: Ears(None, fakes.FakeVoiceActivity())),
        end_of_turn=Lane("end_of_turn", fakes.FakeEndOfTurn),
        recogniser=Lane("recogniser", lambda: fakes.FakeRecogniser([QUESTION] * turns, cost=RECOGNITION_S, spend=spend)),
        language_model=Lane(
            "language_model",
            lambda: fakes.FakeLanguageModel([ANSWER], first_token=FIRST_TOKEN_S, per_token=TOKEN_S, spend=spend),
        ),
        voice=Lane("voice", lambda: fakes.FakeVoice(first_audio=FIRST_AUDIO_S, per_word=0.04, spend=spend)),
    )
    glasses = app.sim_glasses()
    told = Told()
    times = []
    async with session(Config(turns=TURNS), glasses, engines=engines, skills=[Think()], emit=told) as served:
        await asyncio.sleep(0.1)
        for number in range(1, turns + 1):
            end = glasses.say(fakes.tone(QUESTION_S))
            await glasses.until(end + 0.4)
            await told.wait(TurnEnded, number=number)
            first = next(run.start for run in glasses.heard_runs if run.start / SAMPLE_RATE > end)
            times.append(first / SAMPLE_RATE - end)
            await served.idle()
            await asyncio.sleep(0.1)
    return times


def main(turns: int, *, as_json: bool) -> None:
    """Prints the overhead in virtual and in real time."""
    path = critical_path()

    async def in_virtual_time() -> list[float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual.VirtualLoop)
        return await measure(min(turns, 10), loop.spend)

    simulated = virtual.run(in_virtual_time())
    real = loop.run(measure(turns, app.fakes().spend_real))
    result: dict[str, Any] = {
        "bench": "turn",
        "critical_path_ms": round(path * 1000, 2),
        "virtual_overhead_ms": spread([(time - path) * 1000 for time in simulated]),
        "real_overhead_ms": spread([(time - path) * 1000 for time in real]),
        "real_voice_to_voice_ms": spread([time * 1000 for time in real]),
        "machine": machine(),
    }
    Output(as_json=as_json).line(result, _text(result))


def _text(result: dict[str, Any]) -> str:
    real, simulated = result["real_overhead_ms"], result["virtual_overhead_ms"]
    return (
        f"critical path of the declared costs   {result['critical_path_ms']:8.2f} ms\n"
        f"overhead in virtual time              {simulated['median']:8.2f} ms median, {simulated['p95']:.2f} p95\n"
        f"overhead in real time                 {real['median']:8.2f} ms median, {real['p95']:.2f} p95 over {real['n']} turns\n"
        f"voice to voice in real time           {result['real_voice_to_voice_ms']['median']:8.2f} ms median\n"
        f"machine                               {result['machine']['cpu']}, {result['machine']['cores']} cores, "
        f"load {result['machine']['load_1min']}"
    )
