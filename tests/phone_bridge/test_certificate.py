"""The certificate names this machine, is kept, and is renewed when it must be; an owner's own is used as it is."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from edge.errors import ConfigError, StorageError
from phone_bridge.certificate import NAMES, ensure, given, local_addresses, local_names

DAY = 24 * 3600.0
NOW = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
HOSTS = ("box.local", "192.0.2.7", "2001:db8::7")


def held(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(path: Path) -> set[str]:
    return {str(name.value) for name in held(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value}


def test_it_is_made_once(tmp_path: Path) -> None:
    first = ensure(tmp_path / "state", HOSTS, NOW)
    certificate = held(first.chain)
    assert names(first.chain) == set(HOSTS)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 825
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert ensure(tmp_path / "state", HOSTS, NOW + 700 * DAY) == first
    assert {path.name for path in first.chain.parent.iterdir()} <= {"certificate.pem", "certificate.lock"}


def test_openssl_agrees(tmp_path: Path) -> None:
    made = ensure(tmp_path, HOSTS, NOW)
    command = ["openssl", "x509", "-in", str(made.chain), "-noout", "-fingerprint", "-sha256", "-ext", "subjectAltName"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"Fingerprint={made.fingerprint}\n" in said
    assert "DNS:box.local, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7" in said


@pytest.mark.parametrize(("hosts", "days"), [((*HOSTS, "192.0.2.8"), 0.0), (HOSTS, 800.0), (HOSTS, 2000.0), (HOSTS, -9.0)])
def test_it_is_renewed(tmp_path: Path, hosts: tuple[str, ...], days: float) -> None:
    first = ensure(tmp_path, HOSTS, NOW)
    second = ensure(tmp_path, hosts, NOW + days * DAY)
    assert second.fingerprint != first.fingerprint
    assert names(second.chain) == {*HOSTS, *hosts}


def test_a_laptop_between_two_networks_keeps_its_certificate(tmp_path: Path) -> None:
    ensure(tmp_path, ("192.0.2.7",), NOW)
    both = ensure(tmp_path, ("198.51.100.7",), NOW)
    assert ensure(tmp_path, ("192.0.2.7",), NOW) == both == ensure(tmp_path, ("198.51.100.7",), NOW)


def test_names_are_bounded_and_those_of_today_stay(tmp_path: Path) -> None:
    for n in range(3):
        made = ensure(tmp_path, tuple(f"10.0.{n}.{m}" for m in range(40)), NOW)
    assert len(names(made.chain)) == NAMES and {f"10.0.2.{m}" for m in range(40)} <= names(made.chain)
    many = tuple(f"10.1.0.{m}" for m in range(NAMES + 9))
    assert ensure(tmp_path, many, NOW) == ensure(tmp_path, many, NOW), "more names than fit are no reason to renew"


@pytest.mark.parametrize("spoilt", [b"", b"nonsense", None])
def test_a_spoilt_one_is_made_anew(tmp_path: Path, spoilt: bytes | None) -> None:
    first = ensure(tmp_path, HOSTS, NOW)
    other = ensure(tmp_path / "other", HOSTS, NOW)
    half = first.chain.read_bytes().split(b"-----BEGIN CERTIFICATE")[0]
    foreign = b"-----BEGIN CERTIFICATE" + other.chain.read_bytes().split(b"-----BEGIN CERTIFICATE")[1]
    first.chain.write_bytes(half + foreign if spoilt is None else spoilt)
    assert ensure(tmp_path, HOSTS, NOW).fingerprint not in (first.fingerprint, other.fingerprint)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        ensure(tmp_path / "file" / "state", HOSTS, NOW)


@pytest.mark.real_time
async def test_a_client_that_trusts_it_speaks_with_it(tmp_path: Path) -> None:
    made = ensure(tmp_path, ("localhost", "127.0.0.1"), datetime.now(UTC).timestamp())  # noqa: TID251 - TLS compares with it

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(2))
        writer.close()

    trusting = ssl.create_default_context(cafile=str(made.chain))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=made.context())
    async with server:
        port = server.sockets[0].getsockname()[1]
        for name in ("localhost", "127.0.0.1"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            assert hashlib.sha256(shown).digest().hex(":").upper() == made.fingerprint
            writer.write(b"hi")
            assert await reader.read() == b"hi"
            writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="elsewhere.example")


def split(tmp_path: Path, folder: str) -> tuple[Path, Path]:
    key, certificate = ensure(tmp_path / folder, HOSTS, NOW).chain.read_bytes().split(b"-----BEGIN CERTIFICATE")
    (tmp_path / folder / "key.pem").write_bytes(key)
    (tmp_path / folder / "chain.pem").write_bytes(b"-----BEGIN CERTIFICATE" + certificate)
    return tmp_path / folder / "chain.pem", tmp_path / folder / "key.pem"


def test_an_owners_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chain, key = split(tmp_path, "a")
    before = chain.read_bytes()
    made = given(chain, key, NOW)
    assert made.fingerprint == ensure(tmp_path / "a", HOSTS, NOW).fingerprint and (made.chain, made.key) == (chain, key)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        given(chain, key, NOW + 900 * DAY)
    assert "browsers will refuse it" in caplog.text and chain.read_bytes() == before


def test_an_owners_own_that_cannot_be_used(tmp_path: Path) -> None:
    chain, key = split(tmp_path, "a")
    other_key = split(tmp_path, "b")[1]
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", str(locked), "-passout", "pass:secret"]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "text").write_text("no certificate")
    for bad_chain, bad_key, says in [
        (chain, other_key, "does not go with the key"),
        (chain, locked, "does not go with the key|password"),
        (chain, tmp_path / "none.pem", "No such file"),
        (tmp_path / "none.pem", key, "No such file"),
        (tmp_path / "text", key, "holds no certificate"),
        (key, key, "holds no certificate"),
    ]:
        with pytest.raises(ConfigError, match=says):
            given(bad_chain, bad_key, NOW)


def test_this_machine() -> None:
    addresses = local_addresses()
    assert "127.0.0.1" in addresses and addresses[-1] in ("127.0.0.1", "::1")
    assert not any(address.startswith("fe80") for address in addresses)
    assert "localhost" in local_names()
