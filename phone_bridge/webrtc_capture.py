"""A capture of glasses over WebRTC: what goes both ways inside its encryption, media by packet and the data channel by message.

What is not captured: HTTP, the offer and the answer with it; ICE, DTLS and SCTP themselves; messages of the channel that are
too long or no text, which nobody reads; and the pages of whom the wearer talks with, which have sockets of their own.
"""

from __future__ import annotations

from phone_bridge.pcapng import PacketCapture
from phone_bridge.peer import Peer
from phone_bridge.tape import Tape
from phone_bridge.wearers import Answer
from phone_bridge.webrtc import WebRtcGlasses


def captured(answer: Answer, capture: PacketCapture) -> Answer:
    """Gives what answers an offer as ``answer`` does, and has the connection written down."""

    async def taped(offer_sdp: str, sink: WebRtcGlasses, /, *, device: str) -> tuple[Peer, str]:
        peer, text = await answer(offer_sdp, sink, device=device)
        codecs = {str(number): mime for number, mime in peer.codecs.items()}
        peer.record(Tape(capture, sink.uri, device=device, codecs=codecs))
        return peer, text

    return taped
