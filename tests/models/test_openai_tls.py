"""The line to a server elsewhere, encrypted or not."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import aiohttp
import pytest

from edge.errors import RemoteRefused
from edge.ports import Stop
from models.openai_chat import OpenAiChat
from phone_bridge.certificate import ensure
from tests.models.openai_server import (
    Reply,
    answer,
    delta,
    serving,
    slowly,
)
from tests.models.test_openai_chat import PROMPT, QUICK, said

pytestmark = pytest.mark.real_time


def test_an_address_without_encryption_is_not_taken_for_one_with() -> None:
    with serving(Reply(answer("fine"))) as server:
        with pytest.raises(RemoteRefused, match="cannot be trusted"):
            said(OpenAiChat(server.url.replace("http:", "https:"), model="tiny", limits=QUICK))
    assert not server.seen


def test_over_tls_a_stop_cuts_the_line_and_a_stranger_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = ensure(tmp_path, ["127.0.0.1"], tmp_path.stat().st_mtime)
    with serving(Reply(slowly([delta("a")] * 60, 0.05)), tls=certificate.context()) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(RemoteRefused, match="cannot be trusted: .* another's certificate"):
            said(OpenAiChat(url, model="tiny"))
        ours = ssl.create_default_context(cafile=str(certificate.chain))
        monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", ours)  # made once, when aiohttp is imported
        with contextlib.closing(OpenAiChat(url, model="tiny")) as chat:
            stop = Stop()
            chat.open()
            for _ in chat.generate(PROMPT, stop):
                stop.set()
            assert server.gone.wait(1.0), "without its goodbye being waited for"
