"""What watches kept of events: the folders that sessions told of, and no others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

REMEMBERED = 200
"""Events whose files a page may ask for."""
KINDS = (".mp4", ".jpg", ".txt", ".json")


class Kept:
    """Finds the files of an event by its folder's name. Names alone count, never paths."""

    def __init__(self) -> None:
        self._folders: OrderedDict[str, Path] = OrderedDict()

    def add(self, folder: Path) -> None:
        """Remembers a folder that a session told of; its files may come later."""
        self._folders[folder.name] = folder
        self._folders.move_to_end(folder.name)
        while len(self._folders) > REMEMBERED:
            self._folders.popitem(last=False)

    def files(self, name: str) -> Mapping[str, Path]:
        """Gives the files of an event by name, of the kinds that are written; empty where there are none (any more)."""
        folder = self._folders.get(name)
        try:
            found = sorted(folder.iterdir()) if folder is not None else []
        except OSError:
            return {}
        return {path.name: path for path in found if path.suffix in KINDS and path.is_file() and not path.is_symlink()}
