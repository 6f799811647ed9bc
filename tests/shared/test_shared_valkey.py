"""Tasks of the shared connection end when they are told to, whatever its client makes of a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from dragoman.shared.valkey import end


async def test_a_cancellation_that_was_taken_for_a_timeout_is_told_again() -> None:
    took = 0

    async def hard_of_hearing() -> None:
        nonlocal took
        while took < 2:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            took += 1
        await asyncio.sleep(3600)

    task = asyncio.create_task(hard_of_hearing())
    await asyncio.sleep(0)
    await end(task)
    assert task.cancelled()
    assert took == 2


async def test_a_task_that_is_over_is_left_alone() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await end(task)
    assert not task.cancelled()
