"""llama.cpp's C interface, for models/llama_core.py. Pointers to its structures are opaque."""

from typing import Any

def __getattr__(name: str) -> Any: ...
