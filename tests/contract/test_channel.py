"""The bounded channel."""

from __future__ import annotations

import asyncio

import pytest

from edge.channel import Channel, ChannelClosed, Overflow


async def test_blocking_sender_waits_for_room_and_order_is_kept() -> None:
    channel: Channel[int] = Channel("test", 2)
    sent: list[int] = []

    async def send() -> None:
        for number in range(5):
            await channel.send(number)
            sent.append(number)
        channel.close()

    task = asyncio.create_task(send())
    await asyncio.sleep(0.01)
    assert sent == [0, 1]
    assert [item async for item in channel] == [0, 1, 2, 3, 4]
    await task
    assert channel.dropped == 0


async def test_drop_oldest_keeps_the_newest_and_counts() -> None:
    channel: Channel[int] = Channel("test", 3, Overflow.DROP_OLDEST)
    for number in range(10):
        assert channel.send_nowait(number)
    channel.close()
    assert [item async for item in channel] == [7, 8, 9]
    assert channel.dropped == 7


async def test_full_channel_refuses_without_waiting() -> None:
    channel: Channel[int] = Channel("test", 1)
    assert channel.send_nowait(1)
    assert not channel.send_nowait(2)
    assert channel.dropped == 0


async def test_close_with_error_is_raised_after_what_waits() -> None:
    channel: Channel[int] = Channel("test", 3)
    channel.send_nowait(1)
    channel.close(RuntimeError("broken"))
    assert await channel.receive() == 1
    with pytest.raises(RuntimeError, match="broken"):
        await channel.receive()
    with pytest.raises(ChannelClosed):
        channel.send_nowait(2)


async def test_close_wakes_a_waiting_sender_and_a_waiting_receiver() -> None:
    full: Channel[int] = Channel("full", 1)
    full.send_nowait(1)
    empty: Channel[int] = Channel("empty", 1)
    sender = asyncio.create_task(full.send(2))
    receiver = asyncio.create_task(empty.receive())
    await asyncio.sleep(0)
    full.close()
    empty.close()
    with pytest.raises(ChannelClosed):
        await sender
    with pytest.raises(StopAsyncIteration):
        await _reraise(receiver)


async def _reraise(task: asyncio.Task[int]) -> None:
    # A task may not end with StopAsyncIteration bare: asyncio gives it as the cause of a RuntimeError, or as it is.
    try:
        await task
    except RuntimeError as error:
        raise StopAsyncIteration from error


async def test_cancelled_receiver_passes_its_wake_up_on() -> None:
    channel: Channel[int] = Channel("test", 2)
    first = asyncio.create_task(channel.receive())
    second = asyncio.create_task(channel.receive())
    await asyncio.sleep(0)
    channel.send_nowait(7)
    first.cancel()
    assert await asyncio.wait_for(second, 1) == 7


async def test_flush_takes_what_waits_and_frees_senders() -> None:
    channel: Channel[int] = Channel("test", 1)
    channel.send_nowait(1)
    sender = asyncio.create_task(channel.send(2))
    await asyncio.sleep(0)
    assert channel.flush() == [1]
    await sender
    assert await channel.receive() == 2


def test_capacity_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Channel("test", 0)
