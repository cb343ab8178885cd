"""On a real radio, with glasses in reach: ``pytest -m radio``."""

from __future__ import annotations

import asyncio

import pytest

from edge.errors import LinkError
from phone_bridge.ble import BleLink

pytestmark = [pytest.mark.radio, pytest.mark.real_time]


async def test_glasses_are_heard_and_come_back_after_a_disconnection() -> None:
    link = BleLink()
    try:
        await link.open()
    except LinkError as error:
        pytest.skip(error.text)
    sound, conditions = aiter(link.microphone()), aiter(link.conditions())
    try:
        async with asyncio.timeout(60.0):
            assert (await anext(conditions)).present
            chunks = [await anext(sound) for _ in range(100)]
            assert all(a.end <= b.start for a, b in zip(chunks, chunks[1:], strict=False))
            assert link._gatt is not None and link._gatt._client is not None
            await link._gatt._client.disconnect()
            while (await anext(conditions)).present:
                pass
            while not (await anext(conditions)).present:
                pass
            assert (await anext(sound)).start >= chunks[-1].end
    finally:
        await link.close()
