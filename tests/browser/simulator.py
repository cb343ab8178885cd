"""``nearsight simulate`` in a process of its own, and a page before it whose webcam shows and whose microphone asks."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from edge.values import SAMPLE_RATE, Pcm, samples

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

TAPE = (Path(__file__).parent / "tape.js").read_text(encoding="utf-8")
START_S = 90.0
LOOK_S = 0.02
DESKTOP = {"width": 1440, "height": 900}


@dataclass
class Simulator:
    """The running command: its address, the events that it printed so far, and an owner's key."""

    origin: str
    key: str
    printed: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of all wearers; ``look`` adds what came since."""
    _at: int = 0

    def look(self) -> list[dict[str, Any]]:
        """Takes what the command has printed; gives all of it."""
        with self.printed.open("rb") as file:
            file.seek(self._at)
            whole = file.read().rpartition(b"\n")[0]
        if whole:
            self._at += len(whole) + 1
            self.rows += [json.loads(line) for line in whole.splitlines()]
        return self.rows

    def told(self, name: str, since: int = 0, **values: Any) -> list[dict[str, Any]]:
        """Gives the events of that name, with those values, from row ``since`` on."""
        wanted = {"event": name, **values}.items()
        return [row for row in self.look()[since:] if wanted <= {key: row.get(key) for key in ("event", *values)}.items()]

    async def event(self, name: str, since: int = 0, *, seconds: float = 60.0, **values: Any) -> dict[str, Any]:
        """Waits for the first of them."""
        async with asyncio.timeout(seconds):
            while not (found := self.told(name, since, **values)):  # noqa: ASYNC110 - another process' file
                await asyncio.sleep(LOOK_S)
        return found[0]

    def invite(self, wearer: str) -> str:
        """Gives the address of a dashboard for one more wearer; it lets one browser in."""
        return f"{_post(f'{self.origin}/devices', {'role': 'owner', 'wearer': wearer}, self.key)['url']}&to=simulate"


@contextmanager
def simulator(folder: Path, settings: str = "") -> Iterator[Simulator]:
    """Runs ``nearsight simulate`` until the end of the block; ``settings`` are TOML, its files go into ``folder``."""
    config, printed, log = folder / "simulator.toml", folder / "events.jsonl", folder / "simulator.log"
    config.write_text(f"{settings}\n[serve]\nstate = {str(folder / 'state')!r}\n", encoding="utf-8")
    options = ["--no-browser", "--json", "--port", "0", "--config", str(config), "--recordings", str(folder / "recordings")]
    with printed.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen([sys.executable, "-m", "edge.cli.main", "simulate", *options], stdout=out, stderr=err)
    try:
        url = _address(process, log)
        origin, token = url.split("/pair#")
        key = _post(f"{origin}/pair", {"token": token.split("&")[0], "name": "test"})["key"]
        yield Simulator(origin, key, printed)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        sys.stderr.write(log.read_text(encoding="utf-8"))


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Waits until the command says where it is."""
    deadline = time.monotonic() + START_S
    while "This lets one browser in" not in (said := log.read_text(encoding="utf-8")):
        assert process.poll() is None, f"the simulator ended: {said}"
        assert time.monotonic() < deadline, f"not in {START_S:g} s: {said}"
        time.sleep(LOOK_S)
    return next(word for word in said.split() if word.startswith("http"))


def _post(url: str, value: Mapping[str, str], key: str = "") -> Any:
    request = urllib.request.Request(url, json.dumps(value).encode(), {"content-type": "application/json"})
    if key:
        request.add_header("authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@asynccontextmanager
async def visitor(browser: Browser, url: str) -> AsyncIterator[Page]:
    """Pairs a browser, whose sound is recorded from then on, and shows the dashboard."""
    context = await browser.new_context(permissions=["microphone", "camera"], viewport=DESKTOP)  # type: ignore[arg-type]  # it is one
    await context.add_init_script(TAPE)
    page = await context.new_page()
    page.set_default_timeout(20_000)
    await page.goto(url)
    await page.click("#pair")
    await page.wait_for_url("**/simulate")
    yield page
    await context.close()


async def tape(page: Page) -> tuple[Pcm, Pcm]:
    """Gives what the page's microphone heard and what its loudspeaker played, on one clock from the page's start."""
    data = base64.b64decode(await page.evaluate("tape()"))
    with av.open(io.BytesIO(data), "r") as file:
        resampler = av.AudioResampler("s16", "stereo", SAMPLE_RATE)
        parts = [out.to_ndarray() for frame in file.decode(audio=0) for out in resampler.resample(frame)]
    both: Pcm = np.concatenate(parts, axis=1).reshape(-1, 2).astype(np.int16)
    return both[:, 0].copy(), both[:, 1].copy()


def audible(pcm: Pcm, since: float = 0.0, until: float = float("inf"), level: int = 300) -> tuple[float, float] | None:
    """Seconds of the first and the last sample that can be heard between two times; None where there is none."""
    start, end = samples(since), min(len(pcm), samples(min(until, 1e6)))
    loud = np.flatnonzero(np.abs(pcm[start:end].astype(np.int32)) > level)
    return ((start + int(loud[0])) / SAMPLE_RATE, (start + int(loud[-1])) / SAMPLE_RATE) if len(loud) else None
