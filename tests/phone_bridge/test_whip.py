"""WHIP as RFC 9725 has it, header by header, on connections that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError
from phone_bridge.wearers import HALF_OPEN_A_DEVICE
from phone_bridge.whip import OFFERS_A_MINUTE, SDP_BYTES, accepts
from tests.phone_bridge.serving import ANSWER, FRAGMENT, LINGERING_S, OFFER, SDP, Stage

pytestmark = pytest.mark.real_time

CANDIDATE = "a=ice-ufrag:old\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
RESTART = "a=ice-ufrag:new\r\na=ice-pwd:x\r\n"
ELSEWHERE = "https://glasses.example"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_an_offer_is_answered_and_is_a_resource_until_it_is_deleted(stage: Stage) -> None:
    key = stage.bearer()
    async with stage.served() as client:
        async with client.post("/whip", data=OFFER, headers=SDP | key) as response:
            assert response.status == 201
            assert response.content_type == "application/sdp" and await response.text() == ANSWER
            place, etag = response.headers["Location"], response.headers["ETag"]
            assert etag.startswith('"') and etag.endswith('"')
        stage.peers[0].connect()
        assert stage.wearers.glasses.keys() == {"ada"} and stage.wearers.half_open == 0
        async with client.delete(place, headers=key) as response:
            assert response.status == 200
        assert stage.peers[0].closed and not stage.wearers.glasses
        async with client.delete(place, headers=key) as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "application/SDP; charset=utf-8; x=1"}, OFFER, 201, None),
        ({"Accept": "application/sdp"}, OFFER, 201, None),
        ({"Accept": "text/html, */*;q=0.1"}, OFFER, 201, None),
        ({"Accept": "application/json"}, OFFER, 406, "not_acceptable"),
        ({"Content-Type": "application/json"}, "{}", 415, "media_type"),
        ({"Content-Type": ""}, OFFER, 415, "media_type"),
        ({}, "", 400, "malformed"),
        ({}, "hello", 400, "malformed"),
        ({}, b"v=0\xff\xfe", 400, "malformed"),
        ({}, "v=0" + "x" * SDP_BYTES, 413, "too_large"),
    ],
)
async def test_what_may_be_posted(
    stage: Stage, headers: dict[str, str], body: str | bytes, status: int, code: str | None
) -> None:
    key = stage.bearer()
    async with stage.served() as client, client.post("/whip", data=body, headers=SDP | key | headers) as response:
        assert response.status == status
        if code is not None:
            said = await response.json()
            assert said["code"] == code and said["text"]
            assert response.headers.get("Accept-Post") == ("application/sdp" if status == 415 else None)


async def test_a_body_that_does_not_say_its_length_is_bounded_too(stage: Stage) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"v=0" * 1000

    key = stage.bearer()
    async with stage.served() as client, client.post("/whip", data=endless(), headers=SDP | key) as response:
        assert response.status == 413
    await asyncio.sleep(2 * LINGERING_S)


async def test_an_offer_that_cannot_be_used(stage: Stage) -> None:
    key = stage.bearer()
    stage.failing = InputError("the offer sends no sound")
    async with stage.served() as client, client.post("/whip", data=OFFER, headers=SDP | key) as response:
        assert response.status == 406
        assert await response.json() == {"code": "offer", "text": "the offer sends no sound"}
    assert stage.wearers.half_open == 0 and not stage.wearers._places


@pytest.mark.parametrize(
    ("authorization", "status", "challenge"),
    [
        (None, 401, 'Bearer realm="nearsight"'),
        ("bearer {key}", 201, None),
        ("BEARER   {key} ", 201, None),
        ("Bearer wrong", 401, 'Bearer realm="nearsight", error="invalid_token"'),
        ("Bearer", 401, 'Bearer realm="nearsight"'),
        ("Basic {key}", 401, 'Bearer realm="nearsight"'),
    ],
)
async def test_a_key_is_needed(stage: Stage, authorization: str | None, status: int, challenge: str | None) -> None:
    key = stage.key()
    headers = dict(SDP)
    if authorization is not None:
        headers["Authorization"] = authorization.format(key=key)
    async with stage.served() as client, client.post("/whip", data=OFFER, headers=headers) as response:
        assert response.status == status
        assert response.headers.get("WWW-Authenticate") == challenge


async def test_a_cookie_is_a_key(stage: Stage) -> None:
    headers = SDP | {"Cookie": f"nearsight_key={stage.key()}"}
    async with stage.served() as client, client.post("/whip", data=OFFER, headers=headers) as response:
        assert response.status == 201


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_the_endpoint_takes_posts_alone(stage: Stage, method: str) -> None:
    async with stage.served() as client, client.request(method, "/whip", headers=stage.bearer()) as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
async def test_a_resource_takes_patches_and_deletes(stage: Stage, method: str) -> None:
    async with stage.served() as client, client.request(method, "/whip/x", headers=stage.bearer()) as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) == {"DELETE", "OPTIONS", "PATCH"}


async def test_pages_of_a_listed_origin_may_offer_and_others_may_not(stage: Stage) -> None:
    key = stage.bearer()
    asks = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with stage.served() as client:
        async with client.options("/whip", headers=asks) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == ELSEWHERE
            assert {"POST", "PATCH", "DELETE"} <= set(response.headers["Access-Control-Allow-Methods"].split(", "))
            assert {"Authorization", "Content-Type", "If-Match"} == set(
                response.headers["Access-Control-Allow-Headers"].split(", ")
            )
            assert response.headers["Accept-Post"] == "application/sdp" and "Origin" in response.headers["Vary"]
            assert "Access-Control-Allow-Credentials" not in response.headers
        async with client.post("/whip", data=OFFER, headers=SDP | key | {"Origin": ELSEWHERE}) as response:
            assert response.status == 201
            assert {"Location", "ETag"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))
        async with client.options(response.headers["Location"], headers=asks) as response:
            assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
        for origin in ("https://evil.example", "null", "http://glasses.example", f"{ELSEWHERE}:444"):
            async with client.post("/whip", data=OFFER, headers=SDP | key | {"Origin": origin}) as response:
                assert response.status == 403 and (await response.json())["code"] == "origin"
                assert "Access-Control-Allow-Origin" not in response.headers
        async with client.get("/me", headers=key | {"Origin": ELSEWHERE}) as response:
            assert response.status == 403, "the listed origins may use WHIP and nothing else"


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"If-Match": "{etag}"}, CANDIDATE, 204, None),
        ({"If-Match": '"other", {etag}'}, CANDIDATE, 204, None),
        ({"If-Match": "*"}, CANDIDATE, 204, None),
        ({"If-Match": "*"}, RESTART, 200, None),
        ({"If-Match": "*", "Content-Type": "Application/Trickle-ICE-SDPfrag;charset=utf-8"}, RESTART, 200, None),
        ({"If-Match": '"other"'}, CANDIDATE, 412, "etag"),
        ({"If-Match": "W/{etag}"}, CANDIDATE, 412, "etag"),
        ({}, CANDIDATE, 428, "if_match"),
        ({"If-Match": "{etag}"}, RESTART, 422, "restart"),
        ({"If-Match": "*"}, "nonsense", 422, "fragment"),
        ({"If-Match": "*", "Content-Type": "application/sdp"}, OFFER, 415, "media_type"),
        ({"If-Match": "*"}, "a=" * SDP_BYTES, 413, "too_large"),
    ],
)
async def test_patches(stage: Stage, headers: dict[str, str], body: str, status: int, code: str | None) -> None:
    key = stage.bearer()
    async with stage.served() as client:
        async with client.post("/whip", data=OFFER, headers=SDP | key) as response:
            place, etag = response.headers["Location"], response.headers["ETag"]
        filled = {name: value.format(etag=etag) for name, value in headers.items()}
        async with client.patch(place, data=body, headers=FRAGMENT | key | filled) as response:
            assert response.status == status
            if code is not None:
                assert (await response.json())["code"] == code and not stage.peers[0].fragments
                return
            assert stage.peers[0].fragments == [body]
            restarted = status == 200
            assert (response.headers["ETag"] != etag) is restarted
            if restarted:
                assert response.content_type == "application/trickle-ice-sdpfrag"
                assert await response.text() == "a=ice-ufrag:ours\r\n"
        if restarted:
            async with client.patch(place, data=CANDIDATE, headers=FRAGMENT | key | {"If-Match": etag}) as response:
                assert response.status == 412, "candidates of the ICE session before"


async def test_a_restart_that_is_not_supported_leaves_the_connection(stage: Stage) -> None:
    key = stage.bearer()
    async with stage.served() as client:
        async with client.post("/whip", data=OFFER, headers=SDP | key) as response:
            place, etag = response.headers["Location"], response.headers["ETag"]
        stage.peers[0].restarts = False
        async with client.patch(place, data=RESTART, headers=FRAGMENT | key | {"If-Match": "*"}) as response:
            assert response.status == 422
        async with client.patch(place, data=CANDIDATE, headers=FRAGMENT | key | {"If-Match": etag}) as response:
            assert response.status == 204 and not stage.peers[0].closed


async def test_a_connection_is_for_its_own_device(stage: Stage) -> None:
    key, other = stage.bearer(), stage.bearer()
    async with stage.served() as client:
        async with client.post("/whip", data=OFFER, headers=SDP | key) as response:
            place = response.headers["Location"]
        async with client.delete(place, headers=other) as response:
            assert response.status == 404
        async with client.patch(place, data=CANDIDATE, headers=FRAGMENT | other | {"If-Match": "*"}) as response:
            assert response.status == 404
        async with client.delete(place) as response:
            assert response.status == 401
        assert not stage.peers[0].closed


async def test_a_second_device_takes_over_when_it_is_connected_and_not_before(stage: Stage) -> None:
    first, second = stage.bearer(), stage.bearer()
    async with stage.served() as client:
        for key in (first, second):
            async with client.post("/whip", data=OFFER, headers=SDP | key) as response:
                assert response.status == 201
        one, two = stage.peers
        assert one.sink is two.sink
        one.connect()
        assert not one.sink.replaced
        two.connect()
        assert one.sink.replaced == [one]
        assert len(stage.wearers.arrivals) == 1, "a wearer arrives once"


async def test_more_wearers_than_are_served(stage: Stage) -> None:
    async with stage.served() as client:
        for wearer in ("ada", "grace"):
            async with client.post("/whip", data=OFFER, headers=SDP | stage.bearer(wearer)) as response:
                assert response.status == 201
            stage.peers[-1].connect()
        async with client.post("/whip", data=OFFER, headers=SDP | stage.bearer("joan")) as response:
            assert response.status == 503 and response.headers["Retry-After"] == "30"
            said = (await response.json())["text"]
            assert said == "2 wearers are served already, and there is no room for more"
        async with client.post("/whip", data=OFFER, headers=SDP | stage.bearer("ada")) as response:
            assert response.status == 201, "ada is served already, and may come by another device"
        await stage.peers[0].sink.close()
        async with client.post("/whip", data=OFFER, headers=SDP | stage.bearer("joan")) as response:
            assert response.status == 201


async def test_offers_that_never_connect_are_bounded(stage: Stage) -> None:
    key = stage.bearer()
    async with stage.served() as client:
        for n in range(HALF_OPEN_A_DEVICE + 1):
            async with client.post("/whip", data=OFFER, headers=SDP | key) as response:
                assert response.status == (201 if n < HALF_OPEN_A_DEVICE else 429)
        assert response.headers["Retry-After"]
        await stage.peers[0].close()
        async with client.post("/whip", data=OFFER, headers=SDP | key) as response:
            assert response.status == 201
        assert len(stage.wearers.arrivals) == 0, "nobody has arrived"
        for peer in stage.peers:
            await peer.close()
        assert stage.wearers.half_open == 0 and not stage.wearers._places and not stage.wearers._connections


async def test_offers_of_one_address_are_limited(stage: Stage) -> None:
    key = stage.bearer()
    stage.failing = InputError("no")
    async with stage.served() as client:
        seen = []
        for _ in range(OFFERS_A_MINUTE + 1):
            async with client.post("/whip", data=OFFER, headers=SDP | key) as response:
                seen.append(response.status)
    assert seen == [406] * OFFERS_A_MINUTE + [429] and int(response.headers["Retry-After"]) in (1, 2)


async def test_a_device_that_is_revoked_while_its_offer_is_answered(stage: Stage) -> None:
    key = stage.bearer()
    answer = stage.wearers._answer

    async def slow(offer: str, sink: object, /, *, device: str) -> object:
        stage.access.revoke(device)
        return await answer(offer, sink, device=device)  # type: ignore[arg-type]  # a fake's sink

    stage.wearers._answer = slow  # type: ignore[assignment]  # a fake's answer
    async with stage.served() as client, client.post("/whip", data=OFFER, headers=SDP | key) as response:
        assert response.status == 401
        assert stage.peers[0].closed


@given(st.lists(st.text(st.characters(codec="latin-1"))))
def test_any_accept_header_is_read(headers: list[str]) -> None:
    accepts(headers, "application/sdp")


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("", True),
        ("*/*", True),
        ("application/*;q=0.5", True),
        ("application/sdp;q=0", False),
        ("application/sdp; q=0.0, */*", False),
        ("*/*;q=0, application/sdp", True),
        ("text/plain", False),
        ("Application/SDP", True),
    ],
)
def test_accept_headers(header: str, allowed: bool) -> None:
    assert accepts([header], "application/sdp") is allowed
