"""One engine behind two ports: ``SharedLane`` is the second port's lane, its jobs run in the first one's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Generic, TypeVar

from edge.ports import Engine, Stop
from edge.runtime.lane import Lane

E = TypeVar("E", bound=Engine)
F = TypeVar("F", bound=Engine)
T = TypeVar("T")


class SharedLane(Lane[F], Generic[E, F]):
    """A lane whose engine is another lane's, seen through ``view``: one that costs nothing to make and keeps nothing.

    Jobs of both wait for each other. Opening it opens the owner; closing it leaves the owner as it is.
    """

    def __init__(self, name: str, owner: Lane[E], view: Callable[[E], F]) -> None:
        super().__init__(name, lambda: view(owner.engine), time_limit=owner.time_limit)
        self.free_after = owner.free_after
        self._owner = owner
        self._view = view

    @property
    def engine(self) -> F:
        """The owner's engine, seen anew: the owner may have replaced it."""
        return self._view(self._owner.engine)

    @property
    def busy(self) -> bool:
        """Whether the owner is."""
        return self._owner.busy

    async def open(self) -> None:
        """Loads the owner's engine. Raises what its ``open`` raises."""
        await self._owner.open()

    async def close(self) -> None:
        """Does nothing: the engine is the owner's."""

    async def call(self, job: Callable[[F, Stop], T], *, stop: Stop | None = None) -> T:
        """Runs one job in the owner's lane; raises as it does."""
        return await self._owner.call(lambda engine, flag: job(self._view(engine), flag), stop=stop)

    async def stream(
        self, job: Callable[[F, Stop], Iterator[T]], *, stop: Stop | None = None, max_items: int = 100_000
    ) -> AsyncGenerator[T, None]:
        """Iterates what ``job`` returns in the owner's lane; raises as it does."""
        items = self._owner.stream(lambda engine, flag: job(self._view(engine), flag), stop=stop, max_items=max_items)
        async with contextlib.aclosing(items):
            async for item in items:
                yield item
