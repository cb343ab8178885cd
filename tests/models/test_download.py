"""Downloads over a bad line: cut at any byte, ranges that lie, answers that are no file."""

from __future__ import annotations

import http.client
import io
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import FetchFailed, UsageError
from models.download import Patience, Stopped, Wanted, _NoDowngrade, download
from tests.models.hub import Hub, serving

pytestmark = pytest.mark.real_time

DATA = bytes(range(256)) * 40
QUICK = Patience(tries=3, first_wait_s=0.0, timeout_s=5.0)


@pytest.fixture(scope="module")
def line() -> Iterator[Hub]:
    with serving(Hub({"m.gguf": DATA})) as hub:
        yield hub


@pytest.fixture
def hub(line: Hub) -> Hub:
    line.faults, line.asked, line.tokens = [], [], []
    return line


def wanted(hub: Hub, folder: Path, **changes: Any) -> Wanted:
    usual: dict[str, Any] = {"model": "tiny", "address": f"{hub.address}/m.gguf", "part": folder / "m.gguf", "bytes": len(DATA)}
    return Wanted(**usual | changes)


@given(at=st.lists(st.integers(0, len(DATA)), max_size=4))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_download_cut_at_any_byte_goes_on_to_the_right_end(line: Hub, tmp_path: Path, at: list[int]) -> None:
    line.asked, line.faults = [], [("cut", byte) for byte in at]
    one = wanted(line, tmp_path)
    one.part.unlink(missing_ok=True)
    download(one, Patience(tries=9, first_wait_s=0.0))
    assert one.part.read_bytes() == DATA
    fetched = [int(text.removeprefix("bytes=").rstrip("-")) for _, text in line.asked if text]
    assert fetched == sorted(fetched), "it never goes back"


def test_a_later_process_goes_on_where_an_earlier_one_ended(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [("cut", 1000), 404]
    with pytest.raises(FetchFailed, match="404"):
        download(wanted(hub, tmp_path), QUICK)
    assert (tmp_path / "m.gguf").stat().st_size == 1000
    seen: list[int] = []
    download(wanted(hub, tmp_path), QUICK, seen.append)
    assert hub.asked[-1][1] == "bytes=1000-" and seen[-1] == len(DATA)
    assert (tmp_path / "m.gguf").read_bytes() == DATA
    asked = len(hub.asked)
    download(wanted(hub, tmp_path), QUICK)
    assert len(hub.asked) == asked, "what is whole is not asked for again"


@pytest.mark.parametrize("fault", ["no ranges", "shifted", 416, 500, 503, 429])
def test_what_a_server_does_with_ranges_never_spoils_the_file(hub: Hub, tmp_path: Path, fault: Any) -> None:
    hub.faults = [("cut", 4000), fault]
    download(wanted(hub, tmp_path), QUICK)
    assert (tmp_path / "m.gguf").read_bytes() == DATA


def test_a_file_of_unknown_size_that_has_shrunk_is_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(bytes(len(DATA) + 5))
    download(wanted(hub, tmp_path, bytes=0), QUICK)
    assert (tmp_path / "m.gguf").read_bytes() == DATA


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("page", "web page instead of m.gguf"),
        ("long", f"offers {len(DATA) + 1} bytes"),
        ("short", f"offers {len(DATA) - 1} bytes"),
        (401, "wants a login"),
        (403, "wants a login"),
        (404, "answers 404"),
        ("endless", f"sends more than {len(DATA)} bytes"),
    ],
)
def test_what_is_not_the_file_is_refused_at_once_in_one_line(hub: Hub, tmp_path: Path, fault: Any, says: str) -> None:
    hub.faults = [fault]
    with pytest.raises(FetchFailed, match=says) as caught:
        download(wanted(hub, tmp_path), QUICK)
    assert len(hub.asked) == 1 and "\n" not in caught.value.text
    download(wanted(hub, tmp_path), QUICK)
    assert (tmp_path / "m.gguf").read_bytes() == DATA, "the next pull is not hindered"


def test_a_stream_without_end_is_bounded_where_the_size_is_not_known(hub: Hub, tmp_path: Path) -> None:
    hub.faults = ["endless"]
    with pytest.raises(FetchFailed, match="more than 200000 bytes"):
        download(wanted(hub, tmp_path, bytes=0, most=200_000), QUICK)


def test_a_line_that_brings_nothing_is_given_up(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [("cut", 700), *[("cut", 0)] * 9]
    with pytest.raises(FetchFailed, match=f"cut at 700 of {len(DATA)} bytes; run it again to go on"):
        download(wanted(hub, tmp_path), QUICK)
    assert len(hub.asked) == 1 + QUICK.tries


def test_a_line_that_falls_silent_is_asked_anew(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [("stall", 5000)]
    download(wanted(hub, tmp_path), Patience(tries=2, first_wait_s=0.0, timeout_s=0.2))
    assert (tmp_path / "m.gguf").read_bytes() == DATA
    assert [start for _, start in hub.asked] == ["", "bytes=5000-"]


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match=r"127\.0\.0\.1 does not answer .*refused.*; run it again to go on"):
        download(Wanted("tiny", "http://127.0.0.1:9/m.gguf", tmp_path / "m.gguf"), QUICK)


def test_redirects_are_followed_and_the_token_stays_behind(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [("to", f"{hub.address}/m.gguf?signed=1")]
    download(wanted(hub, tmp_path, headers={"Authorization": "Bearer secret"}), QUICK)
    assert (tmp_path / "m.gguf").read_bytes() == DATA
    assert hub.tokens == ["Bearer secret", ""]


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/m.gguf"])
def test_a_redirect_out_of_http_is_refused(hub: Hub, tmp_path: Path, place: str) -> None:
    hub.faults = [("to", place)] * 9
    with pytest.raises(FetchFailed):
        download(wanted(hub, tmp_path), QUICK)
    assert not (tmp_path / "m.gguf").exists()


def test_a_redirect_from_an_encrypted_line_to_an_open_one_is_refused() -> None:
    secret, headers = urllib.request.Request("https://hub.invalid/m.gguf"), http.client.HTTPMessage()
    follow = _NoDowngrade().redirect_request
    assert follow(secret, io.BytesIO(), 302, "Found", headers, "https://elsewhere.invalid/m.gguf") is not None
    with pytest.raises(urllib.error.HTTPError, match="open line"):
        follow(secret, io.BytesIO(), 302, "Found", headers, "http://elsewhere.invalid/m.gguf")


def test_only_http_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only http"):
        Wanted("tiny", "file:///etc/hostname", tmp_path / "m.gguf")


def test_a_proxy_of_the_environment_is_used_and_named_without_its_password(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", hub.address)
    one = wanted(hub, tmp_path, address="http://models.invalid/m.gguf")
    download(one, QUICK)
    assert one.part.read_bytes() == DATA and len(hub.asked) == 1
    one.part.unlink()
    monkeypatch.setenv("http_proxy", "http://ada:secret@127.0.0.1:9")
    with pytest.raises(FetchFailed, match=r"\(through the proxy 127\.0\.0\.1\)") as caught:
        download(one, QUICK)
    assert "secret" not in caught.value.text
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    download(wanted(hub, tmp_path), QUICK)


def test_it_stops_when_told(hub: Hub, tmp_path: Path) -> None:
    stop = threading.Event()
    with pytest.raises(Stopped):
        download(wanted(hub, tmp_path), QUICK, lambda _: stop.set(), stop)
    download(wanted(hub, tmp_path), QUICK)
    assert (tmp_path / "m.gguf").read_bytes() == DATA
