from typing import Any

tqdm: Any

class SAM2VideoPredictor:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
