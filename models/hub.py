"""What a model hub says of a repository: its commit, and the size and hash of each file at that commit.

huggingface_hub asks (endpoint from ``HF_ENDPOINT``, token and offline switch as its users know them). The bytes come through
``models.download``: since huggingface_hub 1.x a download that was cut starts again from nothing (each process writes a file of
its own and removes it on failure), and a 5 GB model over a field tester's telephone has to go on where it ended.

The hub states a SHA-256 for a large file, and for a small one only the name of git's object, a SHA-1 over length and content.
Both belong to a commit, whose name is a hash over all of them: who pins the commit pins the files, as far as the hub does not
lie about what the commit holds. It is asked over TLS, the bytes come from elsewhere, and what it says is written down once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from edge.errors import FetchFailed, UsageError
from models.catalog import Entry
from models.record import Pin

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ANSWER_S = 20.0
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stated:
    """What the hub states of a model."""

    revision: str
    """The commit, forty digits."""
    files: dict[str, Pin]
    """By the names that the files have in the cache."""


def endpoint() -> str:
    """The hub's address, without a slash at its end."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def address_of(entry: Entry, revision: str, member: str) -> str:
    """Gives the address of one file of a repository at a revision."""
    repository = entry.source.removeprefix("hf:").partition("@")[0]
    return f"{endpoint()}/{repository}/resolve/{quote(revision, safe='')}/{quote(member)}"


def headers() -> dict[str, str]:
    """The token of whoever is logged in to the hub, for its own host alone."""
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def ask(entry: Entry, revision: str) -> Stated:
    """Asks the hub for the commit of a revision (a commit, a tag, a branch), and size and hash of the entry's files.

    Raises FetchFailed, in one line: no network, no such repository or revision, a login needed, an answer that is none.
    """
    from huggingface_hub import HfApi, close_session
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    repository = entry.source.removeprefix("hf:").partition("@")[0]
    # Its hints (a login would be faster) are for the owner of a token.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        told = HfApi(endpoint=endpoint()).model_info(repository, revision=revision, files_metadata=True, timeout=_ANSWER_S)
        siblings = {one.rfilename: one for one in told.siblings or ()}
    except HfHubHTTPError as error:
        raise FetchFailed(f"{entry.name}: {_reason(error.response.status_code, repository, revision)}") from error
    except OfflineModeIsEnabled as error:
        raise FetchFailed(f"{entry.name}: HF_HUB_OFFLINE keeps {repository} away") from error
    except OSError as error:
        raise FetchFailed(f"{entry.name}: the hub does not answer ({_first(error)}); run it again to go on") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchFailed(f"{entry.name}: {endpoint()} answers with something that is no hub's answer") from error
    except Exception as error:
        # The client's own errors (httpx2) have no base class in the standard library, and their package is not ours to name.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2"):
            raise
        raise FetchFailed(f"{entry.name}: the hub does not answer ({_first(error)}); run it again to go on") from error
    finally:
        close_session()
    members = {file.name: file.member or file.name for file in entry.files}
    absent = [member for member in members.values() if member not in siblings]
    if absent or not _COMMIT.fullmatch(told.sha or ""):
        raise FetchFailed(f"{entry.name}: {repository} has no {', '.join(absent) or 'commit'} at {revision}")
    files = {}
    for name, member in members.items():
        one = siblings[member]
        size, sha256 = (one.lfs.size, one.lfs.sha256) if one.lfs is not None else (one.size or 0, "")
        if not sha256 and not one.blob_id:
            raise FetchFailed(f"{entry.name}: the hub states no hash of {member}, so it cannot be checked")
        files[name] = Pin(size, sha256, "" if sha256 else one.blob_id or "")
    return Stated(told.sha or "", files)


def check_revision(revision: str) -> str:
    """Gives the revision that ``--trust`` means: ``latest`` is the head of ``main``. Raises UsageError."""
    if revision == "latest":
        return "main"
    if not _COMMIT.fullmatch(revision):
        raise UsageError(f"--trust {revision}: give a commit of forty digits, or latest")
    return revision


def git_object(path: Path) -> str:
    """Gives the name that git gives a file's content: SHA-1 over ``blob``, its length, a zero byte and the content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _reason(status: int, repository: str, revision: str) -> str:
    match status:
        case 401 | 403:
            return f"{repository} is not there, or wants a login: set HF_TOKEN, and agree to its terms on its page"
        case 404:
            return f"there is no {repository} at {revision}"
        case 429:
            return "the hub has had too many requests from here; run it again in some minutes"
    return f"the hub answers {status}; run it again to go on"


def _first(error: BaseException) -> str:
    lines: Sequence[str] = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__
