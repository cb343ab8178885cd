"""The pages of those whom a wearer talks with: they read the translated conversation and hear what is meant for them.

A page comes by a WebSocket. To it go texts, ``{"type": "event"|"flush"|"ping", ...}``, and binary messages of 20 ms of sound:
two little-endian 32-bit numbers, how often the sound was flushed and the message's own number, then 320 samples at 16 kHz. A
page plays what carries the newest count of flushes alone, so that sound which a flush overtakes on the way is never heard. From
it come ``sound`` (whether its loudspeaker plays), ``speak`` (its button to talk) and ``pong``.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

from edge.channel import Channel, Overflow
from edge.values import CHUNK_SAMPLES, Pcm
from phone_bridge.control import Rate
from phone_bridge.delays import Reply, SinkDelay
from phone_bridge.fields import Fields, Malformed

SHOWN = frozenset(("interpreting", "source", "translation", "spoken"))
"""The events that go to a partner's page: of what the wearer asks and is told privately it learns nothing."""
SOUND = 50
"""Messages of sound that may wait for one page: a second."""
EVENTS = 256
PING_S = 1.0
MAX_MS = 60_000.0
_HEADER = struct.Struct("<II")


class Page:
    """One page of a partner. Its socket takes ``texts`` and ``sound``."""

    def __init__(self, partner: Partner) -> None:
        self.texts: Channel[str] = Channel("partner-texts", EVENTS, Overflow.DROP_OLDEST)
        self.sound: Channel[bytes] = Channel("partner-sound", SOUND, Overflow.DROP_OLDEST)
        self.sounds = False
        """Whether its loudspeaker plays: browsers keep quiet until somebody touches the page."""
        self.speaks = False
        """Whether its button to talk is held."""
        self._partner = partner
        self._loop = asyncio.get_running_loop()
        self._delay = SinkDelay()
        self._rate = Rate()
        self._pinged: dict[int, float] = {}
        self._pings = 0
        self._half_way_s = 0.0
        self._sent = 0

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound can be heard, as the page reports it; a default before its first report."""
        return self._delay.value

    @property
    def reach_s(self) -> float:
        """Seconds of the newest sound that an order to be silent still stops."""
        return self._delay.value - self._half_way_s

    def tell(self, kind: str, **fields: Any) -> None:
        """Sends it a text; the oldest that waits gives way."""
        self.texts.send_nowait(json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":")))

    def play(self, flushes: int, pcm: Pcm) -> None:
        """Sends it 20 ms of sound; the oldest that waits gives way."""
        self.sound.send_nowait(_HEADER.pack(flushes & 0xFFFFFFFF, self._sent & 0xFFFFFFFF) + pcm.astype("<i2").tobytes())
        self._sent += 1

    def ping(self) -> None:
        """Asks how far away it is."""
        self._pings += 1
        self._pinged = {self._pings: self._loop.time()}
        self.tell("ping", id=self._pings)

    def received(self, text: str) -> bool:
        """Does what a message of the page says; False where it sends too many."""
        if self._rate.flooded(self._loop.time()):
            return False
        try:
            self._obey(*_message(text))
        except Malformed as fault:
            self.tell("error", code="malformed", text=str(fault))
        return True

    def close(self) -> None:
        """Ends it."""
        self.texts.close()
        self.sound.close()

    def _obey(self, kind: str, fields: Fields) -> None:
        match kind:
            case "sound":
                self.sounds = fields.flag("on")
            case "speak":
                self._partner.speak(self, fields.flag("on"))
            case "pong":
                self._ponged(fields.whole("id", 2**32 - 1), fields.number("ahead_ms", 0.0, MAX_MS, 0.0))
            case _:
                raise Malformed(f"no message {kind[:64]!r}")

    def _ponged(self, ping: int, ahead_ms: float) -> None:
        asked = self._pinged.pop(ping, None)
        if asked is not None:
            self._half_way_s = (self._loop.time() - asked) / 2
            self._delay.report(0.0, self._half_way_s, ahead_ms / 1000)


class Partner:
    """All pages of one wearer's partner: the ``Aside`` of the wearer's link."""

    def __init__(self) -> None:
        self.tapped: Callable[[str], object] | None = None
        """Called with ``speak:partner`` and ``speak:end``."""
        self.changed: Callable[[], None] | None = None
        """Called when a page came or went."""
        self._loop = asyncio.get_running_loop()
        self._pages: list[Page] = []
        self._interpreting: Mapping[str, Any] | None = None
        self._reply = Reply()
        self._flushes = 0
        self._lost = 0
        """What pages that are gone were too slow for."""

    @property
    def pages(self) -> int:
        """How many are open."""
        return len(self._pages)

    @property
    def present(self) -> bool:
        """Whether a page is there whose loudspeaker plays."""
        return any(page.sounds for page in self._pages)

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the last of them sounds."""
        return max((page.sink_delay_s for page in self._pages if page.sounds), default=SinkDelay().value)

    def join(self) -> Page:
        """Makes a page, and tells it whether speech is translated."""
        page = Page(self)
        self._pages.append(page)
        if self._interpreting is not None:
            page.tell("event", event=self._interpreting)
        page.ping()
        self._changed()
        return page

    def leave(self, page: Page) -> None:
        """Lets a page go, and its button with it."""
        self._pages.remove(page)
        self.speak(page, False)
        self._lost += page.sound.dropped
        page.close()
        self._changed()

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms for every loudspeaker."""
        if not self.present:
            return
        for page in self._pages:
            if page.sounds:
                page.play(self._flushes, pcm)
        self._reply.played(self._loop.time(), len(pcm))

    def flush(self) -> int:
        """Drops what was not sent, and has the pages drop what they have not played; gives the samples that nobody hears."""
        self._flushes += 1
        sounding = [page for page in self._pages if page.sounds]
        waiting = [len(page.sound.flush()) * CHUNK_SAMPLES for page in sounding]
        for page in sounding:
            page.tell("flush", flushes=self._flushes)
        if not sounding:
            return 0
        return self._reply.flush(self._loop.time(), min(waiting), min(page.reach_s for page in sounding))

    def tell(self, line: Mapping[str, Any]) -> None:
        """Shows what is meant for a partner's eyes."""
        if line["event"] not in SHOWN:
            return
        if line["event"] == "interpreting":
            self._interpreting = line
        for page in self._pages:
            page.tell("event", event=line)

    def speak(self, page: Page, on: bool) -> None:
        """Takes that a page's button is held or let go; the session is told of the first and the last of them."""
        before = any(one.speaks for one in (*self._pages, page))
        page.speaks = on
        after = any(one.speaks for one in (*self._pages, page))
        if before != after and self.tapped is not None:
            self.tapped("speak:partner" if after else "speak:end")

    def counters(self) -> dict[str, int | float]:
        """Gives figures for a dashboard."""
        dropped = self._lost + sum(page.sound.dropped for page in self._pages)
        return {"partner_pages": self.pages, "dropped_partner_sound": dropped}

    def _changed(self) -> None:
        if self.changed is not None:
            self.changed()


class Partners:
    """The partners of every wearer: their pages may come before the wearer does, and stay when the wearer goes."""

    def __init__(self) -> None:
        self._partners: dict[str, Partner] = {}

    def of(self, wearer: str) -> Partner:
        """Gives a wearer's partner."""
        return self._partners.setdefault(wearer, Partner())


def _message(text: str) -> tuple[str, Fields]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if not isinstance(fields, dict) or not isinstance(kind := fields.get("type"), str):
        raise Malformed("not an object with a type")
    return kind, Fields(fields)
