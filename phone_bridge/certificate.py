"""The certificate of a station: browsers give a microphone and a camera to pages of HTTPS alone.

Without a name of its own and a public authority a machine at home can only sign for itself. The certificate is made on the
first run and kept, so that a phone which has accepted it once knows it again; its fingerprint is shown for comparing. It is
good for 825 days, the longest that Apple's systems take, and is made anew 30 days before its end, or when this machine has
an address that it does not name. Addresses named once stay named, so that a laptop which moves between two networks does not
change its certificate with each move. It is no authority: whoever steals its key can pose as this machine, not as others.

Key and certificate lie in one file, mode 0600, which is replaced as a whole: there is no moment in which they do not match.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from cryptography import x509

log = logging.getLogger(__name__)

DAYS = 825
RENEW_DAYS = 30
NAMES = 64
"""How many names and addresses the certificate holds at most; those of today come first."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, on this machine's disk."""

    chain: Path
    key: Path
    fingerprint: str
    """SHA-256 of the certificate, in pairs of hexadecimal digits with colons between, as browsers show it."""

    def context(self) -> ssl.SSLContext:
        """Makes what a TLS server needs. Raises ConfigError where key and certificate do not go together."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # Without the empty password OpenSSL would ask for one on the terminal, and wait.
            context.load_cert_chain(self.chain, self.key, password="")
        except ssl.SSLError as error:
            raise ConfigError(f"{self.chain}: its certificate does not go with the key of {self.key}") from error
        except OSError as error:
            raise ConfigError(f"{error.filename or self.key}: {error.strerror or error}") from error
        return context


def local_addresses() -> tuple[str, ...]:
    """Gives this machine's addresses: those that others reach first, loopback last.

    IPv6 link-local ones need an interface beside them, which no URL in a browser can have, and are left out.
    """
    import psutil

    found = [
        ipaddress.ip_address(entry.address.partition("%")[0])
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    ]
    usable = [ip for ip in found if ip.version == 4 or not ip.is_link_local]
    return tuple(str(ip) for ip in sorted(set(usable), key=lambda ip: (ip.is_loopback, ip.is_link_local, ip.version, int(ip))))


def local_names() -> tuple[str, ...]:
    """Gives the names under which this machine may be called: its own, that of multicast DNS, localhost."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return tuple(dict.fromkeys((name, f"{short}.local", "localhost")))


def ensure(folder: Path, hosts: Iterable[str], now: float) -> Certificate:
    """Gives the certificate of ``folder``, made or renewed where needed, that names all ``hosts`` (names and addresses).

    ``now`` is in seconds since 1970. Raises StorageError.
    """
    from filelock import FileLock, Timeout

    path = folder / "certificate.pem"
    wanted = tuple(dict.fromkeys(hosts))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(folder / "certificate.lock", timeout=10, mode=0o600):
            known = _load(path)
            today = datetime.fromtimestamp(now, UTC)
            if known is None or not _good(known, wanted, today):
                known = _make(path, wanted, _names(known) if known is not None else (), today)
    except Timeout as error:
        raise StorageError(f"{path}: another process holds it") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error
    return Certificate(path, path, _fingerprint(known))


def given(chain: Path, key: Path, now: float) -> Certificate:
    """Takes the owner's own certificate as it is. Raises ConfigError where it cannot be used."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    except OSError as error:
        raise ConfigError(f"serve.certificate: {chain}: {error.strerror or error}") from error
    except (ValueError, IndexError) as error:
        raise ConfigError(f"serve.certificate: {chain}: holds no certificate in PEM form") from error
    if certificate.not_valid_after_utc < datetime.fromtimestamp(now, UTC):
        log.warning("%s ended on %s: browsers will refuse it", chain, certificate.not_valid_after_utc.date())
    found = Certificate(chain, key, _fingerprint(certificate))
    found.context()
    return found


def _load(path: Path) -> x509.Certificate | None:
    """Gives the certificate of our file; None where there is none, or none that can be used."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        Certificate(path, path, "").context()
    except FileNotFoundError:
        return None
    except (ValueError, IndexError, ConfigError):
        log.warning("%s: cannot be used, and is made anew", path)
        return None
    return certificate


def _good(certificate: x509.Certificate, wanted: tuple[str, ...], today: datetime) -> bool:
    lasts = certificate.not_valid_before_utc <= today <= certificate.not_valid_after_utc - timedelta(days=RENEW_DAYS)
    return lasts and set(wanted[:NAMES]) <= set(_names(certificate))


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in held)


def _make(path: Path, wanted: tuple[str, ...], known: tuple[str, ...], today: datetime) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nearsight")])
    begins = today - timedelta(days=1)  # a phone's clock may be behind
    held = x509.SubjectAlternativeName([_general(host) for host in dict.fromkeys((*wanted, *known))][:NAMES])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begins).not_valid_after(begins + timedelta(days=DAYS))
    builder = builder.add_extension(held, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    certificate = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret + certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return certificate


def _general(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _fingerprint(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest().hex(":").upper()
