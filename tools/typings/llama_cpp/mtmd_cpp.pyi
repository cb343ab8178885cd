"""libmtmd's C interface, for models/mtmd.py. Pointers to its structures are opaque."""

from typing import Any

def __getattr__(name: str) -> Any: ...
