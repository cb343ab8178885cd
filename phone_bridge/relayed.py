"""A wearer's phone whose browser carries a pair of Bluetooth glasses: their microphone, camera and touches become the link's.

What the glasses have replaces what the phone has, and nothing else; when they go out of reach the phone takes over again,
which the wearer is told once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge.clock import MediaClock
from edge.errors import LinkError, NearsightError
from edge.events import Event, Notice
from edge.ports import Aside
from edge.values import AudioChunk, Condition, Pcm, Pixels
from phone_bridge.ble_adapters import Adapter
from phone_bridge.control import Message
from phone_bridge.peer import Peer
from phone_bridge.relay import NOTHING, PHOTO_S, Relay
from phone_bridge.relay_words import GattAnswer, GlassesGone, GlassesHere, GlassesMuted, Packets
from phone_bridge.view import Decoded
from phone_bridge.webrtc import WebRtcGlasses


class RelayedGlasses(WebRtcGlasses):
    """A wearer's phone that may carry glasses of its own."""

    def __init__(self, wearer: str, *, adapters: Sequence[Adapter] | None = None, **options: Any) -> None:
        """``options`` are those of ``WebRtcGlasses``; ``adapters`` the kinds of glasses, all that are known where not given."""
        super().__init__(wearer, **options)
        self._told = self._condition
        self._until = 0
        """Media time up to which sound was given, by whichever microphone."""
        self._relay = Relay(self, adapters)
        self._phone = _Phone(self)

    @property
    def media(self) -> MediaClock:
        """The link's media time."""
        return self._clock

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound is at the ear, of whichever loudspeaker is in use."""
        adapter = self._relay.adapter if self._relay.has.speaker else None
        return adapter.play_delay_s if adapter is not None else super().sink_delay_s

    @property
    def aside(self) -> Aside | None:
        """The loudspeakers of the partner's pages; without them the phone's own, while the glasses have one too."""
        return super().aside or (self._phone if self._phone.present else None)

    @property
    def phone_delay_s(self) -> float:
        """The same of the phone's loudspeaker."""
        return super().sink_delay_s

    @property
    def phone_is_free(self) -> bool:
        """Whether the phone is here and its loudspeaker is not the wearer's."""
        return self._relay.has.speaker and self._relay.adapter is not None and self.connected

    def attach(self, peer: Peer) -> None:
        """Takes a connection that came through; glasses come with the page's word of them."""
        self._relay.stop()
        super().attach(peer)

    def detach(self, peer: Peer) -> None:
        """Lets a connection go, and the glasses behind it."""
        if peer is self.peer:
            self._relay.stop()
        super().detach(peer)

    async def close(self) -> None:
        """Sends the wearer away and ends every stream."""
        await self._relay.stopped()
        await super().close()

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms, for the loudspeaker of the glasses where they have one."""
        adapter = self._relay.adapter
        if adapter is not None and self._relay.has.speaker:
            adapter.play(pcm)
        else:
            super().play(pcm)

    def flush(self) -> int:
        """Drops what was not heard, on whichever loudspeaker is in use; gives the samples."""
        adapter = self._relay.adapter
        return adapter.flush() if adapter is not None and self._relay.has.speaker else super().flush()

    def privacy(self, on: bool) -> None:
        """Switches the phone's microphone and camera off, and those of the glasses at their source."""
        self._relay.privacy(on)
        super().privacy(on)

    def snap(self) -> None:
        """Asks for a still, the glasses where they have a camera."""
        adapter = self._relay.adapter
        if adapter is None or not self._relay.has.camera:
            super().snap()
        elif not self._private:
            adapter.snap()

    def tell(self, event: Event) -> None:
        """Tells the page, and glasses that can show it."""
        super().tell(event)
        if self._relay.adapter is not None:
            self._relay.adapter.tell(event)

    def counters(self) -> Mapping[str, int | float]:
        """Gives figures for a dashboard."""
        return {**super().counters(), **self._relay.counters()}

    # What the connections bring: PeerSink.

    def peer_sound(self, peer: Peer, sequence: int, timestamp: int, payload: bytes) -> None:
        """Hears the phone, unless the glasses have a microphone."""
        if not self._relay.has.microphone:
            super().peer_sound(peer, sequence, timestamp, payload)
        else:
            self._is_present(peer)

    def peer_picture(self, peer: Peer, frame: Decoded) -> None:
        """Sees through the phone, unless the glasses have a camera."""
        if not self._relay.has.camera:
            super().peer_picture(peer, frame)

    def peer_message(self, peer: Peer, message: Message) -> None:
        """Does what a page's message says."""
        if not isinstance(message, GlassesHere | GlassesGone | GlassesMuted | GattAnswer | Packets):
            super().peer_message(peer, message)
        elif self._is_present(peer):
            self._relay.take(message)

    # What the glasses bring: Host.

    def ask_page(self, kind: str, **fields: Any) -> bool:
        """Sends the page a message."""
        return self._send(kind, **fields)

    def glasses_heard(self, chunk: AudioChunk) -> None:
        """Gives their sound where the phone's would be."""
        if self._relay.has.microphone:
            self._heard(chunk)

    def glasses_saw(self, pixels: Pixels, t_ns: int) -> None:
        """Gives a photo."""
        if not self.closed:
            self.view.still(pixels, t_ns)

    def glasses_touched(self, name: str) -> None:
        """Gives a touch."""
        if not self.closed:
            self._taps.send_nowait(name)

    def glasses_changed(self) -> None:
        """Lets one microphone go and the other begin; tells how the glasses are."""
        if self._relay.has.microphone:
            self._ear.pause()
        self._tell(self._condition)

    def glasses_lost(self, error: NearsightError) -> None:
        """Tells once that the phone takes over."""
        text = "The glasses are out of reach. I use this phone."
        self.tell(Notice(t_ns=self._clock.media_ns(self._loop.time()), code="glasses_lost", text=text))

    # Inside.

    def _heard(self, chunk: AudioChunk) -> None:
        if chunk.start < self._until or self.closed:
            return  # two microphones overlap where one takes over from the other
        self._until = chunk.end
        super()._heard(chunk)

    def _welcome(self, peer: Peer) -> None:
        super()._welcome(peer)
        self._send("bluetooth", **self._relay.wanted())

    def _tell(self, condition: Condition) -> None:
        """Keeps how the phone is, and tells how what the wearer wears is."""
        self._condition = replace(condition, sink_delay_s=self.sink_delay_s)
        worn, has = self._condition, self._relay.has
        if has is not NOTHING and worn.present:
            battery, charging = self._relay.battery or (worn.battery, worn.charging)
            worn = replace(worn, device=has.model, battery=battery, charging=charging)
            worn = replace(worn, photo_s=PHOTO_S) if has.camera else worn
            worn = replace(worn, echo_cancelled=False) if has.microphone else worn
        if worn != self._told and not self.closed:
            self._told = worn
            self._conditions.send_nowait(worn)

    def _end(self, error: LinkError | None, reason: str) -> None:
        self._relay.stop()
        super()._end(error, reason)


class _Phone:
    """The phone's loudspeaker, while the wearer hears by the glasses'."""

    def __init__(self, glasses: RelayedGlasses) -> None:
        self._glasses = glasses

    @property
    def present(self) -> bool:
        """Whether it is free."""
        return self._glasses.phone_is_free

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound can be heard, as the page reports it."""
        return self._glasses.phone_delay_s

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms."""
        if self.present:
            WebRtcGlasses.play(self._glasses, pcm)

    def flush(self) -> int:
        """Drops what was not heard; gives the samples."""
        return WebRtcGlasses.flush(self._glasses)
