"""Every failure of nearsight has one face: a code for machines, a sentence for people, and whether a retry can help.

::

    NearsightError
    ├── UsageError                 the caller named something that is not there (exit code 2)
    │   ├── ConfigError            unknown key, wrong type, unknown profile, value out of range
    │   └── LanguageMissing        no engine or pack here for a language, or a pair of them
    ├── InputError                 a file or a stream that cannot be what it is said to be
    │   ├── NotAudio
    │   ├── NotPicture
    │   └── TooLarge
    ├── ModelError
    │   ├── ModelMissing           known to the catalogue, not on this machine
    │   ├── ModelCorrupt           on this machine, but its bytes or its hash are wrong
    │   ├── FetchFailed            could not be fetched now (retryable)
    │   └── NotAgreed              its owner has not agreed to its licence, or to trust its source
    ├── EngineError
    │   ├── EngineMissing          its package is not installed
    │   ├── EngineFailed           it raised
    │   │   ├── OutOfMemory        what it needed did not fit
    │   │   ├── DeviceMissing      the GPU that was asked for, or its libraries, are not there
    │   │   └── RemoteFailed       a server elsewhere is not reached, too slow, or spoke nonsense (retryable)
    │   │       └── RemoteRefused  it answered, and will refuse again: a wrong key, a model that it lacks
    │   │           └── RemoteRejected  it is this one request that it refuses: too long, of a form that it does not know
    │   ├── EngineHung             it passed its time limit (retryable: its lane is replaced)
    │   └── EngineFlooded          it gave more than its bound
    ├── LinkError                  the glasses went away or spoke nonsense (retryable)
    ├── NoView                     the question needs the camera, and there is no picture
    └── StorageError               the disk is full or read-only

``text`` is one line that a person can act on. ``spoken`` is the short sentence that the wearer hears. The cause, when there
is one, hangs on ``__cause__`` as usual; logs print it, people do not see it.
"""

from __future__ import annotations

from typing import ClassVar


class NearsightError(Exception):
    """Root of the tree.

    ``text`` is one line for people. The class carries the code, the exit status of the command line, the sentence spoken
    to the wearer, and whether trying the same thing again can help.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    spoken: ClassVar[str] = "Sorry, something went wrong."

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class UsageError(NearsightError):
    """The caller named something that is not there: a skill, a link, a turn, a wake word."""

    code = "usage"
    exit_code = 2
    spoken = "Sorry, I am not set up for that."


class ConfigError(UsageError):
    """A configuration that cannot be used. The text names the key and, for an unknown one, the nearest known key."""

    code = "config"


class LanguageMissing(UsageError):
    """A language that is not known, or that no engine and no pack on this machine serves. The text names what adds it."""

    code = "language_missing"
    spoken = "Sorry, I do not have that language."


class InputError(NearsightError):
    """A file or a stream that is not what it is said to be."""

    code = "input"
    spoken = "Sorry, I could not use that recording."


class NotAudio(InputError):
    """No decoder finds sound in it."""

    code = "not_audio"


class NotPicture(InputError):
    """No decoder finds a picture or a video frame in it."""

    code = "not_picture"
    spoken = "Sorry, I could not use that picture."


class TooLarge(InputError):
    """Decoding it would pass a bound on pixels, seconds or bytes."""

    code = "too_large"
    spoken = "Sorry, that is too large for me."


class ModelError(NearsightError):
    """A model file is missing, wrong, or cannot be fetched."""

    code = "model"
    spoken = "Sorry, a part of me is not installed."


class ModelMissing(ModelError):
    """The catalogue knows the model, this machine does not have it."""

    code = "model_missing"


class ModelCorrupt(ModelError):
    """The model's bytes or hash are wrong. It is never loaded."""

    code = "model_corrupt"


class FetchFailed(ModelError):
    """A model cannot be fetched now: no network, no space, a source that answers with something else."""

    code = "fetch_failed"
    retryable = True


class NotAgreed(ModelError):
    """Fetching it needs a word of its owner: a licence with conditions, or a source whose hashes nobody has pinned."""

    code = "not_agreed"


class EngineError(NearsightError):
    """An engine behind a port misbehaved."""

    code = "engine"
    spoken = "Sorry, I could not work that out."


class EngineMissing(EngineError):
    """The Python package or the Debian package that carries the engine is not installed."""

    code = "engine_missing"


class EngineFailed(EngineError):
    """The engine raised. The cause is on ``__cause__``."""

    code = "engine_failed"


class OutOfMemory(EngineFailed):
    """What the engine needed did not fit: another type to compute in, or a smaller model, may."""

    code = "out_of_memory"
    port = ""
    """Behind which port, where that is known."""


class DeviceMissing(EngineFailed):
    """The GPU that was asked for is not there, or its libraries do not load."""

    code = "device_missing"


class RemoteFailed(EngineFailed):
    """A server elsewhere could not be reached, took too long, or answered with what its protocol does not allow.

    ``after`` is how many seconds it asked to be left alone (HTTP's Retry-After), 0 where it did not.
    """

    code = "remote"
    retryable = True
    spoken = "Sorry, I could not reach the server."

    def __init__(self, text: str, after: float = 0.0) -> None:
        super().__init__(text)
        self.after = after


class RemoteRefused(RemoteFailed):
    """A server elsewhere answered, and will refuse the same again: a wrong key, an unknown model, a request that it rejects."""

    code = "remote_refused"
    retryable = False


class RemoteRejected(RemoteRefused):
    """A server elsewhere refuses this one request, not the next: it is too long, or of a form that the server does not know."""

    code = "remote_rejected"


class EngineHung(EngineError):
    """The engine passed its time limit. Its lane is replaced, so the next call has a fresh one."""

    code = "engine_hung"
    retryable = True


class EngineFlooded(EngineError):
    """The engine gave more items than its bound allows."""

    code = "engine_flooded"


class LinkError(NearsightError):
    """The glasses went away, or sent what their protocol does not allow."""

    code = "link"
    retryable = True
    spoken = "I lost the glasses."


class NoView(NearsightError):
    """The question needs the camera, and there is no picture to answer from."""

    code = "no_view"
    spoken = "I cannot see anything. Is the camera on?"


class StorageError(NearsightError):
    """The disk is full, read-only or gone."""

    code = "storage"
    spoken = "I cannot record any more, the disk is full."
