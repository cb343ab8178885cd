"""Tokens work once and for ten minutes; keys work until they are revoked, here or by another process."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import ServeConfig
from edge.errors import StorageError, UsageError
from phone_bridge.access import DEVICES, SEEN_EVERY_S, TOKEN_LIFE_S, TOKENS, WAITING, Access, Denied, state_folder
from phone_bridge.rates import ADDRESSES, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(tmp_path: Path, clock: Clock) -> Access:
    made = Access(tmp_path / "state", now=clock, clock=clock)
    made.open()
    return made


def paired(access: Access, wearer: str = "ada", role: str = "wearer") -> tuple[str, str]:
    device, key = access.pair(access.invite(role, wearer), "a phone")
    return device.id, key


def test_a_token_pairs_one_device(access: Access) -> None:
    token = access.invite("owner", "  ada \n lovelace ")
    device, key = access.pair(token, "Pixel 9")
    assert (device.wearer, device.role, device.name) == ("ada lovelace", "owner", "Pixel 9")
    assert access.check(key) == device
    with pytest.raises(Denied) as caught:
        access.pair(token, "another")
    assert caught.value.reason == "token_used"
    assert access.devices() == (device,)


def test_a_token_is_long_and_a_key_is_longer(access: Access) -> None:
    token = access.invite("wearer", "ada")
    _, key = access.pair(token, "a phone")
    assert len(token) * 6 >= 128 and len(key) * 6 >= 256
    assert len({access.invite("wearer", "ada") for _ in range(20)}) == 20


@pytest.mark.parametrize(("seconds", "works"), [(TOKEN_LIFE_S - 1, True), (TOKEN_LIFE_S, False)])
def test_a_token_expires(access: Access, clock: Clock, seconds: float, works: bool) -> None:
    token = access.invite("wearer", "ada")
    clock.now += seconds
    if works:
        access.pair(token, "a phone")
        return
    with pytest.raises(Denied) as caught:
        access.pair(token, "a phone")
    assert caught.value.reason == "token_expired"


@pytest.mark.parametrize("token", ["", "x", "\ud800", "ä" * 10_000])
def test_a_wrong_token_and_a_wrong_key_open_nothing(access: Access, token: str) -> None:
    paired(access)
    with pytest.raises(Denied) as caught:
        access.pair(token, "a phone")
    assert caught.value.reason == "token_unknown"
    assert access.check(token) is None


@given(st.text())
def test_names_are_short_and_printable(name: str) -> None:
    access = Access(Path("nowhere"))
    kept = " ".join(name.split())
    if 0 < len(kept) <= 64 and kept.isprintable():
        access.invite("wearer", name)
    else:
        with pytest.raises(UsageError):
            access.invite("wearer", name)


def test_bad_names_and_roles(access: Access) -> None:
    with pytest.raises(UsageError, match="owner, wearer or partner"):
        access.invite("king", "ada")
    token = access.invite("wearer", "ada")
    with pytest.raises(UsageError, match="the name of the device"):
        access.pair(token, "")
    access.pair(token, "a phone")


def test_invitations_and_devices_are_bounded(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    first = access.invite("wearer", "ada")
    for _ in range(TOKENS):
        last = access.invite("wearer", "ada")
    with pytest.raises(Denied) as caught:
        access.pair(first, "a phone")
    assert caught.value.reason == "token_unknown"
    monkeypatch.setattr("phone_bridge.access.DEVICES", 1)
    access.pair(last, "a phone")
    token = access.invite("wearer", "ada")
    with pytest.raises(Denied) as caught:
        access.pair(token, "one more")
    assert caught.value.reason == "too_many_devices" and DEVICES == 256
    access.revoke(access.devices()[0].id)
    access.pair(token, "one more")


def test_the_file_holds_no_key_and_is_for_its_owner_alone(access: Access, tmp_path: Path) -> None:
    _, key = paired(access)
    file = tmp_path / "state" / "keys.json"
    assert key not in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    left = {path.name for path in file.parent.iterdir()}
    assert left <= {"keys.json", "keys.lock"}


def test_keys_outlive_the_process(access: Access, tmp_path: Path) -> None:
    device_id, key = paired(access)
    later = Access(tmp_path / "state")
    later.open()
    device = later.check(key)
    assert device is not None and device.id == device_id


def test_revoked_here_and_by_another_process(access: Access, tmp_path: Path) -> None:
    (one, one_key), (two, two_key) = paired(access), paired(access)
    access.revoke(one)
    assert access.check(one_key) is None and access.check(two_key) is not None
    with pytest.raises(UsageError, match="no device"):
        access.revoke(one)
    other = Access(tmp_path / "state")
    other.open()
    other.revoke(two)
    access.sync()
    assert access.check(two_key) is None and access.devices() == ()


def test_two_processes_that_pair_do_not_overwrite_each_other(access: Access, tmp_path: Path) -> None:
    other = Access(tmp_path / "state")
    other.open()
    _, key = paired(access)
    _, other_key = paired(other)
    for one in (access, other):
        one.sync()
        assert one.check(key) is not None and one.check(other_key) is not None


def test_the_last_visit_is_kept_from_time_to_time(access: Access, tmp_path: Path, clock: Clock) -> None:
    _, key = paired(access)
    file = tmp_path / "state" / "keys.json"
    before = file.read_bytes()
    clock.now += SEEN_EVERY_S / 2
    access.check(key)
    access.sync()
    assert file.read_bytes() == before
    clock.now += SEEN_EVERY_S
    access.check(key)
    access.sync()
    assert json.loads(file.read_text(encoding="utf-8"))["devices"][0]["seen"] == clock.now


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2, "devices": []}', '{"version": 1, "devices": [{"id": "x"}]}', "\xff"]
)
def test_a_damaged_file_is_told_and_not_overwritten(access: Access, tmp_path: Path, content: str) -> None:
    _, key = paired(access)
    file = tmp_path / "state" / "keys.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(StorageError, match="pair the devices anew"):
        Access(tmp_path / "state").open()
    with pytest.raises(StorageError):
        access.sync()
    with pytest.raises(StorageError):
        paired(access)
    assert access.check(key) is not None, "who is connected stays"
    assert file.read_bytes() == content.encode("latin-1")


def test_a_key_that_cannot_be_kept_is_not_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    access = Access(tmp_path / "file" / "state")
    token = access.invite("wearer", "ada")
    for _ in range(2):
        with pytest.raises(StorageError, match="cannot be written"):
            access.pair(token, "a phone")
    assert access.devices() == ()


def test_where_the_keys_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/there")
    assert state_folder(ServeConfig()) == Path("/there/nearsight")
    assert state_folder(ServeConfig(state="/here")) == Path("/here")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert state_folder(ServeConfig()) == Path.home() / ".config" / "nearsight"


def test_a_rate_is_per_address_and_fills_again() -> None:
    clock = Clock()
    rate = Rate(10, clock)
    assert [rate.take("192.0.2.1") for _ in range(11)] == [0] * 10 + [6]
    assert rate.take("192.0.2.2") == 0
    clock.now += 6
    assert rate.take("192.0.2.1") == 0 and rate.take("192.0.2.1") > 0
    clock.now += 3600
    assert [rate.take("192.0.2.1") for _ in range(11)] == [0] * 10 + [6]


def test_addresses_of_one_customer_are_one() -> None:
    rate = Rate(1, Clock())
    assert rate.take("2001:db8::1") == 0 and rate.take("2001:db8::2%eth0") > 0 and rate.take("2001:db8:0:1::1") == 0
    assert rate.take("192.0.2.1") == 0 and rate.take("::ffff:192.0.2.1") > 0
    assert rate.take("?") == 0 and rate.take("?") > 0


def test_a_rate_does_not_grow() -> None:
    rate = Rate(1, Clock())
    for n in range(2 * ADDRESSES):
        rate.take(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(rate._buckets) == ADDRESSES


# Devices that have no browser.


def test_a_knock_is_answered_by_digits_that_open_nothing(access: Access, tmp_path: Path, clock: Clock) -> None:
    code = access.knock("claim", "a box")
    assert access.admitted("claim") is None and access.check(code) is None
    kept = (tmp_path / "state" / "keys.json").read_text(encoding="utf-8")
    assert "claim" not in json.loads(kept)["waiting"][0].values() and access.devices() == ()
    clock.now += TOKEN_LIFE_S
    assert access.waiting() == ()
    with pytest.raises(UsageError, match="no device waits"):
        access.approve(code, "ada")
    access.knock("claim", "a box")
    assert len(json.loads((tmp_path / "state" / "keys.json").read_text(encoding="utf-8"))["waiting"]) == 1


def test_a_key_is_given_until_it_is_shown(access: Access) -> None:
    device = access.approve(access.knock("claim", "a box"), "ada")
    found = access.admitted("claim")
    assert found is not None and found == access.admitted("claim")
    assert found[0] == device and access.check(found[1]) is not None
    again = access.admitted("claim")
    assert again is not None and again[1] == ""


def test_who_knocks_anew_and_is_let_in_again_has_one_key(access: Access) -> None:
    access.approve(access.knock("claim", "a box"), "ada")
    (first,) = access.devices()
    access.approve(access.knock("claim", "a box"), "grace")
    (second,) = access.devices()
    assert (first.wearer, second.wearer) == ("ada", "grace")


def test_too_many_wait_and_nobody_is_pushed_out(access: Access) -> None:
    codes = [access.knock(f"claim {n}", "a box") for n in range(WAITING)]
    with pytest.raises(Denied) as caught:
        access.knock("one more", "a box")
    assert caught.value.reason == "too_many_waiting"
    assert [knock.code for knock in access.waiting()] == codes and len(set(codes)) == WAITING
    assert access.knock("claim 3", "a box") == codes[3]


def test_a_station_that_was_started_again_makes_a_new_key_for_one_that_waits(
    access: Access, tmp_path: Path, clock: Clock
) -> None:
    access.knock("claim", "a box")
    other = Access(tmp_path / "state", now=clock, clock=clock)
    other.open()
    assert [knock.name for knock in other.waiting()] == ["a box"]
    other.approve(other.knock("claim", "a box"), "ada")
    found = other.admitted("claim")
    assert found is not None and other.check(found[1]) is not None
