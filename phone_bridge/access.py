"""Who may come in: one-time tokens that pair a device, and the keys that paired devices show from then on.

A token has 128 bits, works once and for ten minutes, and is known to the process that made it alone. A key has 256 bits; the
file ``keys.json`` holds its SHA-256 and nothing from which it could be made again. Random keys of that length need no slow
hash: there is nothing to guess. The file is replaced as a whole under a lock, so that the command line may revoke a device
while a station serves; the station sees that at its next ``sync``.

A device without a browser cannot take a token: it knocks, shows the six digits that it is answered with, and its owner, who
reads them there, lets it in with the command line. The station makes its key with the digits and writes the hash down; letting
it in moves that hash from those that wait to those that open. So the key itself never leaves the station but to the device that
knocked, and the digits are no secret: they open nothing, they only tell one waiting device from another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.config import ServeConfig
from edge.errors import NearsightError, StorageError, UsageError
from phone_bridge.keys import EMPTY, ROLES, Device, Entry, Knock, entries, table, waiting

TOKEN_LIFE_S = 600.0
TOKENS = 64
"""Invitations that may wait at once; one more takes the place of the oldest."""
DEVICES = 256
NAME_LENGTH = 64
SEEN_EVERY_S = 60.0
"""How old the time of a device's last visit may be in the file."""
LOCK_PATIENCE_S = 2.0
WAITING = 16
"""Devices that may wait to be let in at once. One more is refused: nobody's knocking pushes another's out."""

Clock = Callable[[], float]


class Denied(NearsightError):
    """Pairing is refused.

    ``reason`` is ``token_unknown``, ``token_used``, ``token_expired``, ``too_many_devices`` or ``too_many_waiting``.
    """

    code = "denied"

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(slots=True)
class _Invitation:
    role: str
    wearer: str
    expires: float
    used: bool = False


def wall_time() -> float:
    """The time of day, in seconds since 1970: people read in the list of devices when one was last here."""
    return time.time()  # noqa: TID251 - a date for people and for the certificate


def state_folder(serve: ServeConfig) -> Path:
    """Where keys and certificate lie."""
    if serve.state:
        return Path(serve.state).expanduser()
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "nearsight"


def open_access(serve: ServeConfig) -> Access:
    """Gives the keys of this machine, read. Raises StorageError."""
    access = Access(state_folder(serve))
    access.open()
    return access


class Access:
    """The keys of one installation, and the invitations of this process. Call it from one thread."""

    def __init__(self, folder: Path, *, now: Clock = wall_time, clock: Clock = time.monotonic) -> None:
        """``now`` gives the time of day for people, ``clock`` the time by which invitations expire."""
        self._path = folder / "keys.json"
        self._now = now
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._knocks: dict[str, Knock] = {}
        self._unshown: dict[str, str] = {}
        """Keys, by their claim, that their devices have not shown yet: they may not have got them."""
        self._invitations: dict[str, _Invitation] = {}
        self._read_as: tuple[int, int, int] | None = None
        self._written = 0.0

    def open(self) -> None:
        """Reads the keys; none yet is no error. Raises StorageError."""
        self._read()

    def invite(self, role: str, wearer: str) -> str:
        """Makes a token that pairs one device. Raises UsageError for an unknown role or a name that is none."""
        if role not in ROLES:
            raise UsageError(f"no role {role!r}: {', '.join(ROLES[:-1])} or {ROLES[-1]}")
        wearer = _name(wearer, "the wearer")
        while len(self._invitations) >= TOKENS:
            del self._invitations[next(iter(self._invitations))]
        token = secrets.token_urlsafe(16)
        self._invitations[_sha256(token)] = _Invitation(role, wearer, self._clock() + TOKEN_LIFE_S)
        return token

    def pair(self, token: str, name: str, claim: str = "") -> tuple[Device, str]:
        """Turns a token into a device and its key. The key is given here and never again.

        With a ``claim`` the key can be had by ``admitted`` as well, until the device has shown it.

        Raises Denied, UsageError for a name that is none, StorageError where the key cannot be kept: the token then stays.
        """
        name = _name(name, "the device")
        invitation = self._invitation(token)
        key = secrets.token_urlsafe(32)
        with self._changing():
            device = self._enter(name, invitation.wearer, invitation.role, _sha256(key), _sha256(claim) if claim else "")
        invitation.used = True
        if claim:
            self._keep(_sha256(claim), key)
        return device, key

    # Devices that have no browser.

    def knock(self, claim: str, name: str) -> str:
        """Gives the six digits by which the owner can let in the device that says ``claim`` of itself; it may ask again.

        Raises Denied where too many wait, UsageError for a name that is none, StorageError.
        """
        name, claimed = _name(name, "the device"), _sha256(claim)
        now = self._now()
        waits = next((knock for knock in self._knocks.values() if knock.claim_sha256 == claimed), None)
        if waits is not None and now < waits.until and claimed in self._unshown:
            return waits.code
        key = secrets.token_urlsafe(32)
        with self._changing():
            self._knocks = {k.code: k for k in self._knocks.values() if now < k.until and k.claim_sha256 != claimed}
            if len(self._knocks) >= WAITING:
                raise Denied("too_many_waiting", f"{WAITING} devices wait to be let in already")
            while (code := f"{secrets.randbelow(1_000_000):06d}") in self._knocks:
                pass
            self._knocks[code] = Knock(code, name, now + TOKEN_LIFE_S, _sha256(key), claimed)
        self._keep(claimed, key)
        return code

    def waiting(self) -> tuple[Knock, ...]:
        """Gives the devices that wait to be let in, the oldest first."""
        return tuple(knock for knock in self._knocks.values() if self._now() < knock.until)

    def approve(self, code: str, wearer: str) -> Device:
        """Lets a device in that shows ``code``; in any process. Raises UsageError where none does, Denied, StorageError."""
        wearer = _name(wearer, "the wearer")
        with self._changing():
            knock = self._knocks.pop(code.replace(" ", ""), None)
            if knock is None or self._now() >= knock.until:
                raise UsageError(f"no device waits with the code {code!r}: `nearsight devices list` names those that do")
            return self._enter(knock.name, wearer, "wearer", knock.key_sha256, knock.claim_sha256)

    def admitted(self, claim: str) -> tuple[Device, str] | None:
        """Gives the device that says ``claim`` of itself, and its key, empty once it was shown; None where it is not paired.

        A claim can be overheard and repeated; so who has shown its key is never given it again.
        """
        claimed = _sha256(claim)
        entry = next((entry for entry in self._entries.values() if entry.claim_sha256 == claimed), None)
        if entry is None:
            return None
        key = self._unshown.get(claimed, "")
        return entry.device, key if _sha256(key) == entry.key_sha256 else ""

    def _enter(self, name: str, wearer: str, role: str, key_sha256: str, claim_sha256: str) -> Device:
        """Adds a device, inside ``_changing``; one that was paired under the same claim gives way."""
        if claim_sha256:
            self._entries = {i: entry for i, entry in self._entries.items() if entry.claim_sha256 != claim_sha256}
        now = self._now()
        self._entries = {i: entry for i, entry in self._entries.items() if not entry.device.expired(now)}
        if len(self._entries) >= DEVICES:
            raise Denied("too_many_devices", f"{DEVICES} devices are paired already: revoke one first")
        device = Device(self._fresh_id(), name, wearer, role, now, now)
        self._entries[device.id] = Entry(device, key_sha256, claim_sha256)
        return device

    def _keep(self, claimed: str, key: str) -> None:
        self._unshown.pop(claimed, None)
        while len(self._unshown) >= TOKENS:
            del self._unshown[next(iter(self._unshown))]
        self._unshown[claimed] = key

    # Keys.

    def check(self, key: str, *, partner: bool = False) -> Device | None:
        """Gives the device that a key belongs to, and notes that it was here; None for a key that opens nothing.

        A partner's key opens only what is asked for with ``partner``.
        """
        shown = _sha256(key)
        found: Entry | None = None
        for entry in self._entries.values():
            # All are compared, each in constant time: how long it takes says nothing of which one, if any, it was.
            if hmac.compare_digest(entry.key_sha256, shown):
                found = entry
        if found is None or found.device.expired(self._now()) or (found.device.role == "partner" and not partner):
            return None
        self._unshown.pop(found.claim_sha256, None)
        found.device = dataclasses.replace(found.device, seen=self._now())
        return found.device

    def device(self, device_id: str) -> Device | None:
        """Gives a device by its id; None where it is not paired, or no longer."""
        entry = self._entries.get(device_id)
        return entry.device if entry is not None else None

    def devices(self) -> tuple[Device, ...]:
        """Gives the paired devices, the oldest first."""
        return tuple(entry.device for entry in self._entries.values())

    def revoke(self, device_id: str) -> Device:
        """Takes a device's key away. Raises UsageError where there is no such device, StorageError."""
        with self._changing():
            entry = self._entries.pop(device_id, None)
            if entry is None:
                raise UsageError(f"no device {device_id!r}: `nearsight devices list` names them")
        return entry.device

    def sync(self) -> None:
        """Sees what other processes changed, and writes from time to time when devices were last here.

        Raises StorageError where the file is not what it was; the keys known before stay good then.
        """
        if self._stamp() != self._read_as:
            self._read()
        latest = max((entry.device.seen for entry in self._entries.values()), default=0.0)
        if latest >= self._written + SEEN_EVERY_S:
            with self._changing():
                pass

    def _invitation(self, token: str) -> _Invitation:
        invitation = self._invitations.get(_sha256(token))
        if invitation is None:
            raise Denied("token_unknown", "this invitation is not known here: ask for a new one")
        if invitation.used:
            raise Denied("token_used", "this invitation was used already: ask for a new one")
        if self._clock() >= invitation.expires:
            raise Denied("token_expired", "this invitation has expired: ask for a new one")
        return invitation

    def _fresh_id(self) -> str:
        while (device_id := secrets.token_hex(4)) in self._entries:
            pass
        return device_id

    # The file.

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Holds the lock, reads what others wrote, lets the block change the entries and writes them."""
        from filelock import FileLock, Timeout

        before = self._entries, self._knocks
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(self._path.with_suffix(".lock"), timeout=LOCK_PATIENCE_S, mode=0o600):
                self._read()
                before = dict(self._entries), dict(self._knocks)
                yield
                self._write()
        except Timeout as error:
            self._entries, self._knocks = before
            raise StorageError(f"{self._path}: another process holds it") from error
        except NearsightError:
            self._entries, self._knocks = before
            raise
        except OSError as error:
            self._entries, self._knocks = before
            raise StorageError(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror or error}") from error
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self) -> None:
        stamp = self._stamp()
        try:
            read = json.loads(self._path.read_text(encoding="utf-8")) if stamp is not None else EMPTY
            found, knocks = entries(read), waiting(read)
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StorageError(f"{self._path}: is damaged; move it away, and pair the devices anew") from error
        for device_id, entry in found.items():
            known = self._entries.get(device_id)
            if known is not None and known.device.seen > entry.device.seen:
                entry.device = dataclasses.replace(entry.device, seen=known.device.seen)
        self._entries, self._knocks = found, knocks
        self._read_as = stamp

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        # O_CREAT gives the mode only to a file that is not there yet.
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(table(self._entries.values(), self._knocks.values()), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._read_as = self._stamp()
        self._written = self._now()


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _name(name: str, whose: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise UsageError(f"the name of {whose}: 1 to {NAME_LENGTH} printable characters")
    return name
