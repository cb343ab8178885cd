from collections.abc import Sequence
from enum import Enum
from pathlib import Path

class QuantType(Enum):
    QInt8 = 0
    QUInt8 = 1

def quantize_dynamic(
    model_input: Path,
    model_output: Path,
    op_types_to_quantize: Sequence[str] | None = None,
    per_channel: bool = False,
    *,
    weight_type: QuantType = ...,
) -> None: ...
