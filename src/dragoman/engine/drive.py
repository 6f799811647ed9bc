"""The two drivers: they run a flow on a transport, one in a plain thread, one on an event loop. All I/O of a call is here.

What a step fails with is thrown into the flow, be it a TransportFailure, a cancelled task or an interrupt: the flow closes
its stream and settles its call, and then raises it again.
"""

from __future__ import annotations

from typing import Any, TypeVar

from dragoman.engine.flow import Flow
from dragoman.transport.base import AsyncTransport, Transport

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


async def adrive(flow: Flow[Result], transport: AsyncTransport) -> Result:
    """As `drive`. Cancelling the task closes the stream that is open and ends the request upstream."""
    resume: Any = flow.send
    given: Any = None
    try:
        while True:
            step = resume(given)
            try:
                resume, given = flow.send, await step.aperform(transport)
            except BaseException as problem:  # noqa: BLE001 - the flow raises it again
                resume, given = flow.throw, problem
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        given = None  # as above
