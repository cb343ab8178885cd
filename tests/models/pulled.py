"""A pull that ends by a kill: what a child process of the tests runs. It imports little: it is started a hundred times."""

from __future__ import annotations

import os
import signal
import sys
import threading

from models.catalog import Catalogue
from models.fetch import pull

_DEEDS = ("open", "os.", "shutil.", "socket.")


def pulled(models: Catalogue, deeds: int) -> None:
    """Pulls ``tiny`` and kills this process before the deed of that number: a file opened, renamed, removed, a block received.

    Python's own audit events tell them, so the kills fall everywhere, however slow the machine is.
    """
    guard, done = threading.Lock(), 0

    def deed() -> None:
        nonlocal done
        with guard:
            done += 1
            if done > deeds:
                os.kill(os.getpid(), signal.SIGKILL)

    def heard(event: str, _: object) -> None:
        if event.startswith(_DEEDS) and event != "os.kill":
            deed()

    sys.addaudithook(heard)
    pull(models, "tiny", lambda done, total: deed())
