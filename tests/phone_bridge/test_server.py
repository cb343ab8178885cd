"""Who may see what of a station; what a client may hold of it; what becomes of what it sends."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import ssl
import zipfile
from pathlib import Path

import aiohttp
import pytest

from edge.errors import LinkError, StorageError
from phone_bridge import guard, routes, server
from phone_bridge.access import Access
from phone_bridge.routes import OPEN, WEB
from phone_bridge.server import WebRtcStation
from tests.phone_bridge.station import FakeDesk, bearer, http, key_of, serving, until

pytestmark = pytest.mark.real_time

JSON = {"Content-Type": "application/json"}
FREE = {
    ("GET", "/healthz"),
    ("GET", "/pair"),
    ("POST", "/pair"),
    ("GET", "/favicon.ico"),
    ("OPTIONS", "/whip"),
    ("OPTIONS", "/whip/{id}"),
}
"""What is served without a key, beside the files in OPEN."""


def served(station: WebRtcStation) -> list[tuple[str, str]]:
    """Every method and path of the application that needs a key."""
    serving = station._serving
    assert serving is not None
    runner = serving._runner
    found = {(route.method, route.resource.canonical) for route in runner.app.router.routes() if route.resource is not None}
    return sorted((method, path) for method, path in found - FREE if method != "HEAD")


async def test_nothing_is_served_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "FAILED_KEYS_A_MINUTE", 10_000)
    async with serving(tmp_path) as station, http(station) as client:
        paths = served(station)
        assert len(paths) >= 14
        files = [path.relative_to(WEB).as_posix() for path in WEB.rglob("*") if path.is_file()]
        paths += [("GET", f"/web/{name}") for name in files if name not in OPEN]
        for method, path in paths:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "nearsight_key=wrong"}):
                place = path.format(id="x", name="x", file="x", index="0")
                async with client.request(method, place, headers=headers, allow_redirects=False) as response:
                    assert response.status == 401, (method, path)
                    assert response.headers["WWW-Authenticate"].startswith("Bearer")
                    assert (await response.json())["code"] == "no_key"


async def test_a_wearer_does_not_see_what_is_the_owners(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station)) as client:
        for method, path in served(station):
            async with client.request(method, path.format(id="x", name="x", file="x", index="0")) as response:
                owners = path.startswith(("/simulate", "/devices", "/events", "/desk", "/bundles", "/kept"))
                assert (response.status == 403) is owners, (method, path, response.status)
        async with client.get("/me") as response:
            said = await response.json()
            assert (said["wearer"], said["role"], said["name"]) == ("ada", "wearer", "ada's phone")


async def test_a_partner_gets_the_own_page_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="partner")) as client:
        for method, path in served(station):
            async with client.request(method, path.format(id="x", name="x", file="x", index="0")) as response:
                partners = path in ("/partner", "/partner/live", "/me", "/web/{name}")
                assert (response.status != 403) is partners, (method, path, response.status)
        async with client.get("/", headers={"Accept": "text/html"}, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/partner")


async def test_a_browser_without_a_key_is_sent_to_pair_and_gets_what_that_page_needs(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station) as client:
        for path in ("/", "/simulate"):
            async with client.get(path, headers={"Accept": "text/html"}, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (303, "/pair")
        for path in ("/pair", *(f"/web/{name}" for name in OPEN if (WEB / name).is_file())):
            async with client.get(path) as response:
                assert response.status == 200 and await response.read()
        page = (WEB / "pair.html").read_text(encoding="utf-8")
        for name in [part.split('"')[0] for part in page.split("/web/")[1:]]:
            assert name in OPEN


@pytest.mark.parametrize(
    "name", ["../server.py", "..%2Fserver.py", "%2e%2e/access.py", "/etc/hostname", "none.js", "", ".", "pair.html/", "a\\b"]
)
async def test_only_files_of_the_page_are_served(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station)) as client:
        async with client.get(f"/web/{name}") as response:
            assert response.status == 404
            assert (await response.json())["code"] in ("no_file", "http")


async def test_every_response_is_guarded(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station)) as client:
        for path, status in (("/", 200), ("/me", 200), ("/none", 404), ("/devices", 403), ("/pair", 200), ("/web/app.js", 200)):
            async with client.get(path) as response:
                assert response.status == status, path
                policy = response.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'self';") and "unsafe" not in policy and "http" not in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert response.headers["Server"] == "nearsight"
                assert response.headers["Cache-Control"] == (
                    "no-cache" if path in ("/", "/pair", "/web/app.js") else "no-store"
                )
                if status >= 400:
                    assert (await response.json()).keys() == {"code", "text"}


async def test_pairing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "PAIRINGS_A_MINUTE", 100)
    async with serving(tmp_path) as station, http(station) as client:
        page, _, token = station.invite("owner", "ada").partition("#")
        assert page == f"http://127.0.0.1:{station.port}/pair"
        async with client.post("/pair", json={"token": token, "name": "Pixel 9"}) as response:
            assert response.status == 200
            said = await response.json()
            assert said.keys() == {"device", "wearer", "role", "key"} and (said["wearer"], said["role"]) == ("ada", "owner")
            cookie = response.headers["Set-Cookie"]
            assert cookie.startswith(f"nearsight_key={said['key']};") and "Path=/" in cookie
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie
        async with client.get("/devices", headers={"Cookie": f"nearsight_key={said['key']}"}) as response:
            devices = (await response.json())["devices"]
            assert [(row["name"], row["role"], row["connected"]) for row in devices] == [("Pixel 9", "owner", False)]
        tries: list[tuple[object, int, str]] = [
            ({"token": token, "name": "again"}, 403, "token_used"),
            ({"token": "wrong", "name": "x"}, 403, "token_unknown"),
            ({"token": "wrong"}, 400, "malformed"),
            ({"token": 7, "name": "x"}, 400, "malformed"),
            (["token"], 400, "malformed"),
            ({"token": station.access.invite("wearer", "ada"), "name": "x" * 99}, 400, "usage"),
        ]
        for value, status, code in tries:
            async with client.post("/pair", json=value) as response:
                assert (response.status, (await response.json())["code"]) == (status, code)
        for body, headers, status in [("{", JSON, 400), ("[" * 9000, JSON, 400), ("{}", {}, 415), (" " * 17_000, JSON, 413)]:
            async with client.post("/pair", data=body, headers=headers) as response:
                assert response.status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST.", 200),
        ("[::1]:{port}", 200),
        ("glasses.example", 200),
        ("evil.example:{port}", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.0.2.77", 403),
        ("", 403),
        ("[", 403),
    ],
)
async def test_a_name_that_is_not_ours_is_refused(tmp_path: Path, host: str, status: int) -> None:
    async with serving(tmp_path, hosts=("glasses.example",)) as station, http(station) as client:
        async with client.get("/healthz", headers={"Host": host.format(port=station.port)}) as response:
            assert response.status == status


async def test_a_page_of_another_origin_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        ours = f"http://127.0.0.1:{station.port}"
        for origin, status in [(ours, 200), ("http://127.0.0.1:1", 403), ("null", 403), (ours.replace("http", "https"), 403)]:
            async with client.post("/devices", json={"role": "wearer", "wearer": "x"}, headers={"Origin": origin}) as response:
                assert response.status == status
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect("/events", headers={"Origin": "http://evil.example"})
        assert caught.value.status == 403


async def test_invitations_for_the_dashboard(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        async with client.post("/devices", json={"role": "wearer", "wearer": "grace"}) as response:
            said = await response.json()
        assert said["svg"].startswith("<?xml") or said["svg"].startswith("<svg")
        async with client.post("/pair", json={"token": said["url"].partition("#")[2], "name": "x"}) as response:
            assert (await response.json())["wearer"] == "grace"
        async with client.post("/devices", json={"role": "king", "wearer": "grace"}) as response:
            assert response.status == 400


async def test_rows_come_by_the_event_stream_from_where_it_is_asked(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        async with client.ws_connect("/events?since=1") as socket:
            await socket.send_str("what a page says here is passed over")
            assert [(await socket.receive_json())["n"] for _ in range(2)] == [2, 3]
        assert isinstance(station.desk, FakeDesk)
        desk = station.desk
        await until(lambda: desk.readers == 0)
        for since in ("-1", "x", "9" * 30, "²"):
            async with client.get("/events", params={"since": since}) as response:
                assert response.status == 400
        async with client.get("/events") as response:
            assert response.status == 426 and response.headers["Upgrade"] == "websocket"


async def test_commands(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        async with client.post("/desk", json={"name": "ask", "arguments": {"text": "hi"}}) as response:
            assert await response.json() == {"asked": "hi"}
        async with client.post("/desk", json={"name": "fly"}) as response:
            assert response.status == 400 and await response.json() == {"code": "usage", "text": "no command 'fly'"}
        for wrong in ('{"name": "ask", "arguments": []}', '{"arguments": {}}'):
            async with client.post("/desk", data=wrong, headers=JSON) as response:
                assert response.status == 400
        station.desk = None
        async with client.post("/desk", json={"name": "ask"}) as response:
            assert response.status == 404


async def test_what_a_watch_kept_is_sent_to_players_and_by_name_alone(tmp_path: Path) -> None:
    clip = bytes(range(256)) * 40
    folder = tmp_path / "recordings" / "door"
    folder.mkdir(parents=True)
    (folder / "clip.mp4").write_bytes(clip)
    (folder / "report.txt").write_text("Die Tür ging auf.", encoding="utf-8")
    (folder / "run.sh").write_text("#!/bin/sh")
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        async with client.get("/kept/door") as response:
            assert await response.json() == {"files": ["clip.mp4", "report.txt", "run.sh"]}
        async with client.get("/kept/door/clip.mp4") as response:
            assert (response.content_type, await response.read()) == ("video/mp4", clip)
        async with client.get("/kept/door/clip.mp4", headers={"Range": "bytes=100-199"}) as response:
            assert (response.status, await response.read()) == (206, clip[100:200])
        async with client.get("/kept/door/report.txt") as response:
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert await response.text() == "Die Tür ging auf."
        for name in (
            "door/run.sh",
            "door/none.mp4",
            "none/clip.mp4",
            "door/..%2f..%2fstate%2fkeys.json",
            "..%2frecordings%2fdoor",
        ):
            async with client.get(f"/kept/{name}") as response:
                assert response.status == 404 or await response.json() == {"files": []}, name
        async with client.get("/kept/none") as response:
            assert await response.json() == {"files": []}


async def test_recordings_are_sent_whole(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 4096
    folder = tmp_path / "recordings" / "2026-11-22 ada"
    (folder / "frames").mkdir(parents=True)
    (folder / "session.jsonl").write_bytes(b'{"event": "end"}\n' * 9999)
    (folder / "frames" / "0.jpg").write_bytes(noise)
    (folder / "secret").symlink_to(tmp_path / "state" / "keys.json")
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        async with client.get("/bundles") as response:
            assert await response.json() == {"bundles": [folder.name]}
        async with client.get(f"/bundles/{folder.name}.zip") as response:
            assert response.content_type == "application/zip"
            assert response.headers["Content-Disposition"] == 'attachment; filename="2026-11-22_ada.zip"'
            archive = zipfile.ZipFile(io.BytesIO(await response.read()))
        for name in ("none", "..", "%2e%2e", "..%2fstate"):
            async with client.get(f"/bundles/{name}.zip") as response:
                assert response.status == 404
    assert archive.testzip() is None
    assert archive.namelist() == [f"{folder.name}/frames/0.jpg", f"{folder.name}/session.jsonl"]
    assert archive.read(f"{folder.name}/frames/0.jpg") == noise


async def test_logs_tell_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path) as station, http(station) as client:
        token = station.invite("owner", "ada").partition("#")[2]
        async with client.post("/pair", json={"token": token, "name": "secret name"}) as response:
            key = (await response.json())["key"]
        headers = {"Authorization": f"Bearer {key}"}
        async with client.post("/pair", json={"token": token, "name": "secret name"}) as response:
            assert response.status == 403
        for place in ("/me?secret=1", "/secret", "/devices/secret", "/bundles/secret.zip", "/whip/secret"):
            async with client.get(place, headers=headers):
                pass
        offer = {"Content-Type": "application/sdp", **headers}
        async with client.post("/whip", data="v=0\r\na=ice-pwd:secret\r\n", headers=offer) as response:
            assert response.status == 406
        reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
        writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\x00\r\nbroken {key}\r\n\r\n".encode())
        assert b"400" in await reader.readline()
        writer.close()
    logged = [record for record in caplog.records if record.name not in ("asyncio", "filelock")]
    ours = [record.getMessage() + str(record.exc_info or "") for record in logged]
    assert any("Error handling request" in line for line in ours), "the broken one"
    assert any("token_used" in line for line in ours) and any("/bundles/{name}.zip" in line for line in ours)
    assert not [line for line in ours if "secret" in line or key in line or token in line]


async def test_with_tls(tmp_path: Path) -> None:
    async with serving(tmp_path, "webrtc://0.0.0.0:0") as station:
        assert station.url.startswith("https://") and "0.0.0.0" not in station.url
        assert station.certificate is not None
        trusting = ssl.create_default_context(cafile=str(station.certificate.chain))
        pinned = aiohttp.Fingerprint(bytes.fromhex(station.certificate.fingerprint.replace(":", "")))
        async with aiohttp.ClientSession(f"https://127.0.0.1:{station.port}") as client:
            token = station.invite("wearer", "ada").partition("#")[2]
            async with client.post("/pair", json={"token": token, "name": "x"}, ssl=trusting) as response:
                assert "Secure" in response.headers["Set-Cookie"]
            origin = {"Origin": f"https://127.0.0.1:{station.port}"} | bearer(station)
            async with client.get("/me", headers=origin, ssl=pinned) as response:
                assert response.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await client.get("/healthz")
        async with http(station) as client, client.get("/healthz", ssl=pinned) as response:
            assert response.status == 200, "also by the address that invitations name"


async def test_a_port_in_use_and_a_place_that_is_not_here(tmp_path: Path) -> None:
    async with serving(tmp_path) as station:
        for uri, says in [
            (f"webrtc://127.0.0.1:{station.port}", f"port {station.port} is in use"),
            ("webrtc://192.0.2.1:0", "no such address"),
            ("webrtc://nowhere.invalid:0", "nowhere.invalid"),
        ]:
            other = WebRtcStation(uri, state=tmp_path / "other")
            with pytest.raises(LinkError, match=says) as caught:
                await other.open()
            assert uri in caught.value.text
            await other.close()


async def test_a_state_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "keys.json").write_text("damaged")
    station = WebRtcStation("webrtc://127.0.0.1:0", state=tmp_path / "state")
    with pytest.raises(StorageError, match="is damaged"):
        await station.open()
    await station.close()


async def test_a_station_that_closes_ends_what_is_open(tmp_path: Path) -> None:
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        socket = await client.ws_connect("/events?since=3")
        arriving = asyncio.create_task(anext(aiter(station.arrivals()), None))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await station.close()
            assert await arriving is None
            assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get("/healthz")


async def test_revoked_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SYNC_S", 0.05)
    async with serving(tmp_path) as station, http(station, headers=bearer(station, role="owner")) as client:
        async with client.ws_connect("/events?since=3") as socket:
            other = Access(tmp_path / "state")
            other.open()
            other.revoke(other.devices()[0].id)
            async with asyncio.timeout(5):
                assert (await socket.receive()).type is not aiohttp.WSMsgType.TEXT
        async with client.get("/me") as response:
            assert response.status == 401
        keys = tmp_path / "state" / "keys.json"
        key = key_of(station)
        keys.write_text(json.dumps("damaged"))
        await asyncio.sleep(0.2)
        async with client.get("/me", headers={"Authorization": f"Bearer {key}"}) as response:
            assert response.status == 200, "a damaged file does not send away who is here"
