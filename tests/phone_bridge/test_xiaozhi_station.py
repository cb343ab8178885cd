"""Who may come in with a xiaozhi device, and what a bad one can do."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from edge.errors import LinkError, UsageError
from edge.events import FinalHeard, PartialHeard
from edge.ports import Link
from edge.values import Condition
from phone_bridge import access, xiaozhi, xiaozhi_glasses, xiaozhi_ota, xiaozhi_senses, xiaozhi_socket
from phone_bridge.access import Access
from phone_bridge.opus import Encoder
from phone_bridge.xiaozhi import XiaozhiStation
from phone_bridge.xiaozhi_wire import frame
from tests.phone_bridge.xiaozhi_device import CLIENT, MAC, PACKET, StockDevice, ask_ota, jpeg, key_of, serving, until

pytestmark = pytest.mark.real_time

SPEECH = (6000 * np.sin(np.arange(PACKET) / 12)).astype(np.int16)


async def refusal(station: XiaozhiStation, key: str) -> int:
    device = StockDevice(station, key)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with device:
            pass
    return caught.value.status


# Coming in.


async def test_a_device_is_let_in_by_the_digits_that_it_shows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as station:
        status, answer = await ask_ota(station)
        assert status == 200
        assert answer["websocket"] == {"url": f"ws://127.0.0.1:{station.port}/xiaozhi/v1/", "version": 1}
        assert answer["firmware"] == {"version": "2.0.3", "url": ""}
        assert abs(answer["server_time"]["timestamp"] / 1000 - access.wall_time()) < 10
        code = answer["activation"]["code"]
        assert len(code) == 6 and code.isdigit() and code in answer["activation"]["message"]
        assert answer["activation"]["challenge"] and f"devices approve {code}" in caplog.text
        assert (await ask_ota(station))[1]["activation"]["code"] == code, "it may ask again"
        assert (await ask_ota(station, "/xiaozhi/ota/activate"))[0] == 202
        other = Access(tmp_path / "state")  # the command line's process
        other.open()
        (knock,) = other.waiting()
        assert (knock.code, knock.name) == (code, f"bread-compact-wifi {MAC}")
        with pytest.raises(UsageError, match="no device waits"):
            other.approve("000000" if code != "000000" else "000001", "ada")
        assert other.approve(f"{code[:3]} {code[3:]}", "ada").wearer == "ada"
        with pytest.raises(UsageError):
            other.approve(code, "ada")
        assert (await ask_ota(station, "/xiaozhi/ota/activate"))[0] == 200
        token = (await ask_ota(station))[1]["websocket"]["token"]
        assert token not in (tmp_path / "state" / "keys.json").read_text(encoding="utf-8") + caplog.text
        assert (await ask_ota(station))[1]["websocket"]["token"] == token, "the answer may have been lost"
        async with StockDevice(station, token):
            await until(lambda: "ada" in station.glasses)
        answer = (await ask_ota(station))[1]
        assert "token" not in answer["websocket"] and "activation" not in answer, "it has shown its key: never again"
        assert "activation" in (await ask_ota(station, client="00000000-1111"))[1], "another device with its address"
    async with serving(tmp_path) as station:
        assert "activation" not in (await ask_ota(station))[1], "it is known after a restart"
        (device,) = station.access.devices()
        station.access.revoke(device.id)
        assert "activation" in (await ask_ota(station))[1]
        assert await refusal(station, token) == 401


async def test_an_invitation_in_the_address_needs_no_digits(tmp_path: Path) -> None:
    async with serving(tmp_path) as station:
        path = station.invite("wearer", "grace").removeprefix(f"http://127.0.0.1:{station.port}")
        assert path.startswith("/xiaozhi/ota/")
        token = (await ask_ota(station, path))[1]["websocket"]["token"]
        assert (await ask_ota(station, f"{path}activate"))[0] == 200
        async with StockDevice(station, token):
            await until(lambda: "grace" in station.glasses)
        answer = (await ask_ota(station, path))[1]
        assert "token" not in answer["websocket"] and "activation" not in answer
        assert "activation" in (await ask_ota(station, path, client="00000000-1111"))[1], "it worked once"


async def test_bad_questions_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xiaozhi_ota, "KNOCKS_A_MINUTE", 1000)
    async with serving(tmp_path) as station, aiohttp.ClientSession(f"http://127.0.0.1:{station.port}") as http:
        good = {"Device-Id": MAC, "Client-Id": CLIENT}
        for headers, body, status in (
            ({}, b"{}", 400),
            ({**good, "Device-Id": "aa:bb"}, b"{}", 400),
            ({**good, "Client-Id": "x" * 20}, b"{}", 400),
            (good, b'{"application":', 400),
            (good, b"x" * 20_000, 413),
            ({**good, "Host": "elsewhere.example"}, b"{}", 403),
            (good, b"", 200),
            (good, b'{"application":{"version":"1.0; rm"}}', 200),
        ):
            async with http.post("/xiaozhi/ota/", data=body, headers=headers) as response:
                assert response.status == status, (headers, body[:20])
                answer = await response.json()
        assert answer["firmware"]["version"] == "0.0.0"
        async with http.get("/xiaozhi/ota/", headers=good) as response:
            assert response.status == 200
        codes = [(await ask_ota(station, client=f"{n:08d}"))[0] for n in range(access.WAITING + 2)]
        assert codes[: access.WAITING - 1] == [200] * (access.WAITING - 1) and codes[-1] == 403
    monkeypatch.setattr(xiaozhi_ota, "KNOCKS_A_MINUTE", 3)
    async with serving(tmp_path / "other") as station:
        assert [(await ask_ota(station))[0] for _ in range(5)] == [200, 200, 200, 429, 429]


async def test_wrong_keys_are_refused_and_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path) as station:
        assert await refusal(station, "") == 401
        assert {await refusal(station, f"wrong{n}") for n in range(61)} == {401, 429}
        async with StockDevice(station, key_of(station)) as device:
            assert device.hello_s < 1.0, "who has a key is not kept out by somebody's guesses"


async def test_revoking_ends_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xiaozhi, "SYNC_S", 0.05)
    async with serving(tmp_path) as station, StockDevice(station, key_of(station)) as device:
        other = Access(tmp_path / "state")
        other.open()
        other.revoke(other.devices()[0].id)
        await until(lambda: not device.open)
        assert device.close_code == 1008


async def test_one_wearer_too_many_and_a_second_device_of_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path, wearers=1) as station, StockDevice(station, key_of(station)) as device:
        arrivals = station.arrivals()
        link = await anext(arrivals)
        assert isinstance(link, Link) and link.uri == "xiaozhi:ada"
        assert await refusal(station, key_of(station, "grace")) == 503
        async with StockDevice(station, key_of(station)) as second:
            await until(lambda: not device.open)
            assert second.open and station.glasses["ada"] is link
        await link.close()
        async with StockDevice(station, key_of(station, "grace")):
            await until(lambda: "grace" in station.glasses)


# Bad input.


async def raw(station: XiaozhiStation, key: str, *messages: str | bytes, version: str = "1") -> tuple[int | None, list[str]]:
    """Sends what it is given; gives how the station closed, None where it did not, and what it said."""
    said: list[str] = []
    headers = {"Authorization": f"Bearer {key}", "Protocol-Version": version}
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"http://127.0.0.1:{station.port}/xiaozhi/v1/", headers=headers) as socket:
            for message in messages:
                await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
            try:
                async with asyncio.timeout(0.4):
                    async for message_ in socket:
                        said.append(message_.data)
            except TimeoutError:
                return None, said
            return socket.close_code, said


async def test_first_messages_that_are_no_hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as station:
        key = key_of(station)
        for first in ('{"type":"listen","state":"start"}', '{"type":"hel', b"\x00\x01", '{"type":"hello","transport":"udp"}'):
            assert await raw(station, key, first) == (1008, [])
        for version in ("4", "0", "x", "-1"):
            assert await raw(station, key, '{"type":"hello"}', version=version) == (1008, [])
        assert await raw(station, key, "x" * 1_000_000) == (1009, [])
        monkeypatch.setattr(xiaozhi_socket, "HELLO_S", 0.1)
        assert await raw(station, key) == (1008, [])
        assert not station.glasses, "nobody has arrived"


async def test_nonsense_is_counted_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with serving(tmp_path) as station, StockDevice(station, key_of(station), version=3, mcp=False) as device:
        link = station.glasses["ada"]
        await device.tell("listen", state="start", mode="auto")
        for bad in ('{"type":', "7", '{"type":"listen","state":"sideways"}'):
            await device.socket.send_str(bad)
        for noise in (b"\x00", b"\x00\x00\x00\x09xx", frame(b"\xff\xff\xff\xff", 3), frame(bytes(1500), 3)):
            await device.socket.send_bytes(noise)
        await device.tell("weather", of="tomorrow")
        await until(lambda: link.counters()["unknown"] == 1)
        counts = link.counters()
        assert counts["refused"] >= 6 and counts["not_opus"] >= 1 and device.open
        assert sum("more of the kind is counted" in record.message for record in caplog.records) == 1
        for _ in range(xiaozhi_socket.MAX_REFUSED):
            await device.socket.send_str("{")
        await until(lambda: not device.open)
        assert device.close_code == 1008 and station.glasses["ada"] is link, "its session stays"


async def test_floods_and_giant_frames_end_the_connection_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as station:
        key = key_of(station)
        hello = '{"type":"hello"}'
        code, said = await raw(station, key, hello, *['{"type":"iot"}'] * 3000)
        assert code == 1008 and json.loads(said[0])["type"] == "hello"
        assert (await raw(station, key, hello, bytes(1_000_000)))[0] == 1009
        async with StockDevice(station, key) as device:
            assert device.open


async def test_a_device_that_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xiaozhi_socket, "OUTBOX", 8)
    async with serving(tmp_path) as station, StockDevice(station, key_of(station), mcp=False) as device:
        link = station.glasses["ada"]
        for _ in range(20):  # within one turn of the loop: nothing can be sent meanwhile
            link.tell(FinalHeard(t_ns=0, text="x", confidence=1.0, source="test"))
        await until(lambda: not device.open)
        link.play(np.zeros(320, np.int16))
        assert link.flush() == 0


async def test_silence_of_a_codec_that_leaves_it_out(tmp_path: Path) -> None:
    """Discontinuous transmission: a packet of one byte, its table of contents, is silence of its length."""
    async with serving(tmp_path) as station, StockDevice(station, key_of(station), mcp=False) as device:
        link = station.glasses["ada"]
        with Encoder(24_000, 0, PACKET) as encoder:
            toc = encoder.encode(SPEECH)[:1]
        await device.tell("listen", state="start", mode="auto")
        heard = aiter(link.microphone())
        await anext(heard)
        for _ in range(3):
            await device.socket.send_bytes(toc)
        last = -1
        for _ in range(9):
            chunk = await anext(heard)
            assert chunk.start >= last and len(chunk.pcm) == 320
            last = chunk.end
        assert link.counters()["not_opus"] == 0


async def test_a_device_that_falls_silent_while_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xiaozhi_glasses, "SILENT_S", 0.2)
    async with serving(tmp_path) as station, StockDevice(station, key_of(station), mcp=False) as device:
        link = station.glasses["ada"]
        conditions = aiter(link.conditions())
        assert (await anext(conditions)).present
        await device.tell("listen", state="start", mode="auto")  # and nothing after it
        async with asyncio.timeout(5):
            assert not (await anext(conditions)).present
            await device.call()
            assert (await anext(conditions)).present


# Tools.


async def test_battery_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as station, StockDevice(station, key_of(station)) as device:
        link = station.glasses["ada"]
        conditions = aiter(link.conditions())
        link.snap()
        async with asyncio.timeout(5):
            known: Condition = await anext(conditions)
            assert known == Condition(sink_delay_s=0.12, echo_cancelled=True, device="ada's box")
            seen = await anext(aiter(link.camera()))
            while known.battery is None or not known.photo_s:
                known = await anext(conditions)
        assert seen.pixels.shape == (48, 64, 3) and seen.t_ns > 0 and known.battery == 0.62 and known.charging is False
        await until(lambda: device.photo_status == 200)
        assert (await device.upload(jpeg(), "?"))[0] == 409, "nobody asked"
        assert (await device.upload(jpeg(), "?", token="guess"))[0] == 401
        assert (await device.upload(jpeg(), "?", token=device.key))[0] == 401, "its key opens another door"
        assert link.counters()["photos"] == 1
        partial = PartialHeard(t_ns=0, text="what")
        link.tell(partial)
        await asyncio.sleep(0.05)
        assert link.counters()["photos"] == 1, "the picture is fresh"
        monkeypatch.setattr(xiaozhi_senses, "FRESH_S", 0.0)
        link.tell(partial)
        await until(lambda: link.counters()["photos"] == 2)
        link.privacy(True)
        link.tell(partial)
        link.snap()
        await until(lambda: not device.open)
        assert link.counters()["photos"] == 2


async def test_pictures_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xiaozhi, "PICTURE_BYTES", 50_000)
    async with serving(tmp_path) as station, StockDevice(station, key_of(station)) as device:
        link = station.glasses["ada"]
        for n, (picture, status) in enumerate(((b"no picture", 400), (jpeg()[:200], 400), (bytes(60_000), 413)), start=1):
            device.picture = picture
            link.snap()
            await until(lambda n=n: link.counters()["lost_photos"] == n)  # type: ignore[misc]
            assert device.photo_status == status
        await device.hang_up()
        assert (await device.upload(jpeg(), "?"))[0] == 401, "its connection is over"


async def test_a_device_without_camera_or_answers(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, StockDevice(station, key_of(station)) as device:
        device.stubborn = True
        station.glasses["ada"].snap()
    async with serving(tmp_path / "other") as station, StockDevice(station, key_of(station)) as device:
        device.picture = None
        station.glasses["ada"].snap()
        await until(lambda: device.of("mcp"))
        await asyncio.sleep(0.1)
        assert station.glasses["ada"].counters()["lost_photos"] == 0


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("image/jpeg", b"x", 415),
        ("multipart/form-data", b"x", 415),
        ("multipart/form-data; boundary=b", b"no boundary", 400),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ncut', 409),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="question"\r\n\r\nx\r\n--b--\r\n',
            400,
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X" * 20_000 + b"\r\n\r\n\r\n--b--\r\n", 400),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n--c--\r\n--b--",
            400,
        ),
        ("multipart/form-data; boundary=" + "b" * 100, b"x", 400),
    ],
)
async def test_forms_that_are_none(tmp_path: Path, kind: str, body: bytes, status: int) -> None:
    async with serving(tmp_path) as station, StockDevice(station, key_of(station)) as device:
        socket = station.glasses["ada"].socket
        assert socket is not None
        headers = {"Content-Type": kind, "Authorization": f"Bearer {socket.vision_token}"}
        async with device.http.post(f"{device.url}/xiaozhi/vision", data=body, headers=headers) as response:
            assert response.status == status, await response.text()


# The place.


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as station:
        with pytest.raises(LinkError, match="is in use"):
            async with serving(tmp_path):
                await XiaozhiStation(f"xiaozhi://127.0.0.1:{station.port}", state=tmp_path / "state").open()
    assert XiaozhiStation("xiaozhi://192.0.2.1").port == 8000
