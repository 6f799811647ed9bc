"""The three drivers: they run a flow on a transport, in a plain thread, in a task, or in callbacks. All I/O of a call is here.

What a step fails with is thrown into the flow, be it a TransportFailure, a cancelled task or an interrupt: the flow closes
its stream and settles its call, and then raises it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from dragoman.engine.steps import Flow, Step
from dragoman.transport.base import AsyncTransport, Started, Transport

Result = TypeVar("Result")


def drive(flow: Flow[Result], transport: Transport) -> Result:
    """Run a flow to its result."""
    resume: Any = flow.send
    given: Any = None
    try:
        while True:
            step = resume(given)
            try:
                resume, given = flow.send, step.perform(transport)
            except BaseException as problem:  # noqa: BLE001 - the flow raises it again
                resume, given = flow.throw, problem
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        given = None  # an exception held here would hold this frame: a cycle, and with it the transport's streams


async def adrive(flow: Flow[Result], transport: AsyncTransport, step: Step | None = None) -> Result:
    """As `drive`; from `step` on, if the flow has been run up to it.

    Cancelling the task closes the stream that is open and ends the request upstream.
    """
    resume: Any = flow.send
    given: Any = None
    try:
        if step is None:
            step = resume(given)
        while True:
            try:
                resume, given = flow.send, await step.aperform(transport)
            except BaseException as problem:  # noqa: BLE001 - the flow raises it again
                resume, given = flow.throw, problem
            step = resume(given)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        given = None  # as above


class Push(Generic[Result]):
    """Runs a flow in callbacks: a step that the transport can start at once goes on where its outcome comes in, in the same
    turn of the loop, with no task and no future. From the first step that has to wait for something else, a task takes over.

    `done(result, problem)` is called once; `result` means nothing where there is a problem. It must not raise.
    """

    __slots__ = ("_done", "_flow", "_started", "_step", "_task", "_transport")

    def __init__(
        self, flow: Flow[Result], transport: AsyncTransport, done: Callable[[Any, BaseException | None], None]
    ) -> None:
        self._flow = flow
        self._transport = transport
        self._done = done
        self._step: Step | None = None
        self._started: Started | None = None
        self._task: asyncio.Task[Result] | None = None

    def start(self) -> None:
        self.resolve(None)

    def cancel(self) -> None:
        """End the request upstream, and the flow with a CancelledError, which `done` is told. Nothing if it is over."""
        if self._task is not None:
            self._task.cancel()
        elif self._started is not None:
            self._started.cancel()
            self.reject(asyncio.CancelledError())

    # What the transport calls

    def resolve(self, outcome: Any) -> None:
        self._advance(self._flow.send, outcome)

    def reject(self, problem: BaseException) -> None:
        self._advance(self._flow.throw, problem)

    def redo(self) -> None:
        self._started = None
        task = asyncio.get_running_loop().create_task(adrive(self._flow, self._transport, self._step))
        task.add_done_callback(self._ended)
        self._task = task

    # Inside

    def _advance(self, resume: Any, given: Any) -> None:
        self._started = None
        try:
            step = self._step = resume(given)
        except StopIteration as stop:
            self._done(stop.value, None)
            return
        except BaseException as problem:  # noqa: BLE001 - whoever waits is told
            self._done(None, problem)
            return
        try:
            self._started = step.start(self._transport, self)
        except BaseException as problem:  # noqa: BLE001 - the flow raises it again
            self.reject(problem)
        else:
            if self._started is None:
                self.redo()

    def _ended(self, task: asyncio.Task[Result]) -> None:
        self._task = None
        if task.cancelled():
            self.reject(asyncio.CancelledError())  # a task that had not begun has not told the flow
        elif (problem := task.exception()) is not None:
            self._done(None, problem)
        else:
            self._done(task.result(), None)
