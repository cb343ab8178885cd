"""``bench answer``: the real engines, each stage alone and in whole turns, at real-time pace.

The questions and pictures are the bundled scene's. What is timed ends at the glasses' own timeline, not at a line of log:
``after_endpoint`` is from the policy's decision to the first sample played; ``barge_in`` is from the interrupting speech's
first loud sample, and from the decision, to the last sample played. What was heard is checked word by word against the same
sentences synthesised again.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge import app
from edge.bench.soak import resident_mb
from edge.bench.stats import machine, spread
from edge.cli import loop
from edge.cli.output import Output
from edge.config import Config
from edge.demo.scene import SceneTurn, load
from edge.events import BargedIn, EndpointReached, ReplyPaused, Speaking, StateChanged, TurnEnded
from edge.household import session
from edge.policy import prompts
from edge.ports import LanguageModel, Recogniser, Stop, Voice
from edge.runtime.engines import Engines
from edge.runtime.lane import Lane
from edge.runtime.session import Session
from edge.runtime.told import Told
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm, Prompt, VideoFrame, VoiceStyle

LOUD = 500
"""Peak amplitude from which a sample of the scene's clean speech counts as speech."""
IDLE_S = 10.0
EVIDENCE = ("CITY MUSEUM", "Opens at 10 am", "Closes at 6 pm")


def bursts(pcm: Pcm, pause_s: float = 1.0) -> list[tuple[int, int]]:
    """Finds stretches of speech that are at least ``pause_s`` apart, as first and one past the last loud sample."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > LOUD)
    if not len(loud):
        return []
    cuts = np.flatnonzero(np.diff(loud) > pause_s * SAMPLE_RATE)
    starts = [loud[0], *loud[cuts + 1]]
    ends = [*loud[cuts], loud[-1]]
    return [(int(start), int(end) + 1) for start, end in zip(starts, ends, strict=True)]


async def timed(repeats: int, work: Callable[[], Awaitable[Any]]) -> list[float]:
    """Milliseconds of each of ``repeats`` runs, after one that warms up."""
    await work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        await work()
        times.append((time.perf_counter() - began) * 1000)
    return times


# -- each stage alone ----------------------------------------------------------------------------------------------------


async def stages(engines: Engines, scene: list[SceneTurn], repeats: int) -> dict[str, Any]:
    """Times every engine on its lane, alone."""
    found: dict[str, Any] = {}
    question = scene[1].sound
    start, end = bursts(question)[0]
    speech = question[start:end]

    async def hear() -> None:
        for at in range(0, SAMPLE_RATE, CHUNK_SAMPLES):
            chunk = AudioChunk(question[at : at + CHUNK_SAMPLES], at)
            await engines.ears.call(lambda ears, stop: ears.hear(chunk, voice=True))  # noqa: B023 - awaited at once

    found["ears_ms_per_s"] = spread(await timed(repeats, hear))
    if engines.end_of_turn is not None:
        turn = engines.end_of_turn
        found["end_of_turn_ms"] = spread(await timed(repeats, lambda: turn.call(lambda e, stop: e.probability(speech))))
    if engines.recogniser is not None:
        factor, final = await _recogniser(engines.recogniser, speech, repeats)
        found |= {"recogniser_real_time_factor": factor, "recogniser_final_ms": final}
    if engines.text_reader is not None:
        reader = engines.text_reader
        frame = VideoFrame(scene[0].picture, 0)
        found["text_reader_ms"] = spread(await timed(repeats, lambda: reader.call(lambda e, stop: e.read(frame, stop))))
    if engines.language_model is not None:
        found.update(await _model(engines.language_model, repeats))
    if engines.voice is not None:
        voice = engines.voice
        found["voice_first_audio_ms"] = spread(await timed(repeats, lambda: _first_audio(voice)))
    return found


async def _recogniser(lane: Lane[Recogniser], speech: Pcm, repeats: int) -> tuple[dict[str, Any], dict[str, Any]]:
    factors, finals = [], []
    for _ in range(repeats):
        stream = await lane.call(lambda engine, stop: engine.stream())
        began = time.perf_counter()
        for at in range(0, len(speech), 960):
            await lane.call(lambda engine, stop: stream.accept(speech[at : at + 960]))  # noqa: B023 - awaited at once
        fed = time.perf_counter()
        await lane.call(lambda engine, stop: stream.final(stop))  # noqa: B023 - awaited at once
        factors.append((fed - began) / (len(speech) / SAMPLE_RATE))
        finals.append((time.perf_counter() - fed) * 1000)
        await lane.call(lambda engine, stop: stream.close())  # noqa: B023 - awaited at once
    return spread(factors, 3), spread(finals)


async def _model(lane: Lane[LanguageModel], repeats: int) -> dict[str, Any]:
    firsts, rates, free = [], [], []
    for number in range(repeats + 1):
        prompt = prompts.about_view(f"when does museum number {number} close", EVIDENCE, _words)
        began = time.perf_counter()
        first = 0.0
        tokens = 0
        async with aclosing(lane.stream(lambda engine, stop: engine.generate(prompt, stop))) as pieces:  # noqa: B023
            async for _ in pieces:
                first = first or time.perf_counter()
                tokens += 1
        firsts.append((first - began) * 1000)
        if tokens > 1:
            rates.append((tokens - 1) / (time.perf_counter() - first))
    for number in range(repeats):
        free.append(await _time_to_free(lane, prompts.general(f"tell me a long story about the number {number}"), number))
    return {
        "first_token_ms": spread(firsts[1:]),
        "tokens_per_s": spread(rates),
        "model_free_after_stop_ms": spread(free),
    }


async def _time_to_free(lane: Lane[LanguageModel], prompt: Prompt, number: int) -> float:
    """Cancels a generation at some phase of it; milliseconds until the lane does the next thing."""
    stop = Stop()

    async def use() -> None:
        async with aclosing(lane.stream(lambda engine, flag: engine.generate(prompt, flag), stop=stop)) as pieces:
            async for _ in pieces:
                pass

    task = asyncio.create_task(use())
    await asyncio.sleep(0.02 + 0.05 * (number % 8))
    stop.set()
    task.cancel()
    began = time.perf_counter()
    await asyncio.gather(task, return_exceptions=True)
    await lane.call(lambda engine, flag: None)
    return (time.perf_counter() - began) * 1000


async def _first_audio(lane: Lane[Voice]) -> None:
    text = "Please keep dogs on a lead."
    async with aclosing(lane.stream(lambda voice, stop: voice.synthesize(text, VoiceStyle(), stop))) as chunks:
        async for _ in chunks:
            return


def _words(text: str) -> int:
    return len(text.split()) * 2


# -- whole turns -----------------------------------------------------------------------------------------------------------


@dataclass
class Room:
    """A session with glasses in memory, and what it told."""

    served: Session
    glasses: Any
    told: Told

    async def ask(self, turn: SceneTurn, sound: Pcm) -> TurnEnded | None:
        """Shows the picture, lets the sound be heard and waits for the answer."""
        self.glasses.see(turn.picture)
        await asyncio.sleep(0.6)
        before = len(self.told.events)
        self.glasses.say(sound)
        try:
            ended = await self.told.wait(TurnEnded, before, patience=40.0)
        except TimeoutError:
            return None
        await asyncio.sleep(0.8)
        await self.served.idle()
        return ended


async def turns(room: Room, turn: SceneTurn, repeats: int) -> dict[str, Any]:
    """Asks one question again and again."""
    first, last = bursts(turn.sound)[0]
    question = turn.sound[: last + SAMPLE_RATE]
    after, whole, right = [], [], 0
    for _ in range(repeats):
        ended = await room.ask(turn, question)
        if ended is None or ended.timings_ms.voice_to_voice is None or ended.timings_ms.endpoint is None:
            continue
        right += ended.transcript == turn.transcript and all(w.lower() in ended.answer.lower() for w in turn.contains)
        after.append(ended.timings_ms.voice_to_voice - ended.timings_ms.endpoint)
        whole.append(ended.timings_ms.voice_to_voice)
    return {"after_endpoint_ms": spread(after), "voice_to_voice_ms": spread(whole), "right": right, "asked": repeats}


async def barge_ins(room: Room, engines: Engines, turn: SceneTurn, repeats: int) -> dict[str, Any]:
    """Interrupts a long reply at one place after the other."""
    spoken = bursts(turn.sound)
    question = turn.sound[: spoken[0][1] + SAMPLE_RATE]
    interruption = turn.sound[spoken[-1][0] : spoken[-1][1]]
    from_onset, from_decision, exact = [], [], 0
    for number in range(repeats):
        room.glasses.see(turn.picture)
        await asyncio.sleep(0.6)
        before = len(room.told.events)
        runs = len(room.glasses.heard_runs)
        room.glasses.say(question)
        await _speaking(room.told, before)
        await asyncio.sleep(0.7 + 0.13 * number)
        onset = room.glasses.say(interruption) - len(interruption) / SAMPLE_RATE
        ended = await room.told.wait(TurnEnded, before)
        silent = next(iter((*room.told.of(ReplyPaused, before), *room.told.of(BargedIn, before))), None)
        cut = next(iter(room.told.of(BargedIn, before)), None)
        reply = room.glasses.heard_runs[runs]
        if cut is not None and silent is not None:
            from_onset.append((reply.end / SAMPLE_RATE - onset) * 1000)
            from_decision.append((reply.end / SAMPLE_RATE - silent.t_ns / 1e9) * 1000)
            exact += ended.heard == await _words_in(engines, room, before, len(reply.pcm))
        await asyncio.sleep(2.0)
        await room.served.idle()
    return {
        "last_sample_after_onset_ms": spread(from_onset),
        "last_sample_after_decision_ms": spread(from_decision),
        "history_exact": exact,
        "asked": repeats,
    }


async def _speaking(told: Told, since: int) -> None:
    """Waits until a reply is heard; what came before depends on how the last question ended."""
    number = 1
    while (await told.wait(StateChanged, since, number=number)).state != "speaking":
        number += 1


async def _words_in(engines: Engines, room: Room, before: int, played: int) -> str:
    """The words of a reply that fit into ``played`` samples, by synthesising its sentences again."""
    lane = engines.voice
    assert lane is not None
    words: list[str] = []
    start = 0
    for event in room.told.events[before:]:
        if isinstance(event, EndpointReached) and words:
            break
        if not isinstance(event, Speaking):
            continue
        text = event.text
        async with aclosing(lane.stream(lambda voice, stop: voice.synthesize(text, room.served.style, stop))) as chunks:  # noqa: B023
            base = start
            async for chunk in chunks:
                words += [mark.text for mark in chunk.words if base + mark.end <= played]
                start += len(chunk.pcm)
        if start > played:
            break
    return " ".join(words)


async def idle(served: Session) -> float:
    """Share of one core that an open microphone costs while nobody speaks, in percent."""
    import psutil

    me = psutil.Process()
    everybody = [me, *me.children(recursive=True)]
    before = sum(sum(part.cpu_times()[:2]) for part in everybody)
    await asyncio.sleep(IDLE_S)
    return (sum(sum(part.cpu_times()[:2]) for part in everybody) - before) / IDLE_S * 100


async def _bench(config: Config, repeats: int) -> dict[str, Any]:
    scene = load()
    engines = app.build_engines(config)
    glasses = app.sim_glasses()
    told = Told()
    async with session(config, glasses, engines=engines, emit=told) as served:
        room = Room(served, glasses, told)
        await asyncio.sleep(0.5)
        if engines.language_model is not None:
            await engines.language_model.call(lambda model, stop: None)  # behind the warm-up that a session begins with
        gc.collect()
        result: dict[str, Any] = {"idle_cpu_percent": round(await idle(served), 2)}
        result["stages"] = await stages(engines, scene, repeats)
        result["read_text"] = await turns(room, scene[0], repeats)
        result["model"] = await turns(room, scene[1], repeats)
        result["barge_in"] = await barge_ins(room, engines, scene[2], repeats)
        free = served.measures().lanes_free_ms
        result["lanes_free_ms"] = {name: spread(values) for name, values in free.items()}
        result["resident_mb"] = round(resident_mb(), 1)
    return result


def main(repeats: int, profile: str | None, *, as_json: bool) -> None:
    """Prints all of it."""
    measured = loop.run(_bench(app.load_config(profile), repeats))
    result = {"bench": "answer", **measured, "machine": machine()}
    Output(as_json=as_json).line(result, "\n".join(_lines(result, "")))


def _lines(value: dict[str, Any], prefix: str) -> list[str]:
    lines = []
    for name, item in value.items():
        if isinstance(item, dict) and "median" in item:
            text = f"{item['median']:9.2f} median {item['p95']:9.2f} p95 {item['min']:9.2f} min  n={item['n']}"
            lines.append(f"{prefix + name:<44}{text}")
        elif isinstance(item, dict) and "n" not in item:
            lines += _lines(item, f"{prefix}{name}.")
        else:
            lines.append(f"{prefix + name:<44}{item}")
    return lines
