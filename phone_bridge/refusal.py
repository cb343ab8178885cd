"""What a request is told when it is not granted."""

from __future__ import annotations

from collections.abc import Mapping

from edge.errors import NearsightError


class Refusal(NearsightError):
    """An HTTP status with a code for machines and a line for people."""

    def __init__(
        self, status: int, reason: str, text: str, *, retry_after: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.headers = {**(headers or {}), **({"Retry-After": str(retry_after)} if retry_after is not None else {})}
