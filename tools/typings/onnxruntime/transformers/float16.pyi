from collections.abc import Sequence
from typing import Any

DEFAULT_OP_BLOCK_LIST: list[str]

def convert_float_to_float16(model: Any, *, keep_io_types: bool = False, op_block_list: Sequence[str] | None = None) -> Any: ...
