from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

def set_seed(seed: int) -> None: ...

class SessionOptions:
    intra_op_num_threads: int
    inter_op_num_threads: int
    log_severity_level: int
    enable_cpu_mem_arena: bool
    def add_session_config_entry(self, key: str, value: str) -> None: ...

class RunOptions:
    terminate: bool
    log_severity_level: int

class NodeArg:
    name: str
    shape: list[int | str | None]
    type: str

class ModelMetadata:
    custom_metadata_map: dict[str, str]

class InferenceSession:
    def __init__(
        self,
        path_or_bytes: str | bytes,
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, dict[str, str]]] | None = None,
    ) -> None: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def get_modelmeta(self) -> ModelMetadata: ...
    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[Any]], run_options: RunOptions | None = None
    ) -> list[NDArray[Any]]: ...

def get_available_providers() -> list[str]: ...
