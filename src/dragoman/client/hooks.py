"""The hooks of one call at work: made by `callbacks.attach` where any is set, told by the engine when the call settles.

Functions and objects are called in the caller's thread, or on its event loop, where what is to be awaited runs as a task beside
the call. A hook that raises is logged, once for each hook and kind of error.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any

from dragoman.client.arguments import Arguments
from dragoman.client.hook_details import Details
from dragoman.core.errors import ConfigurationError
from dragoman.engine.call import Call, Observer
from dragoman.integrations.custom_logger import CustomLogger
from dragoman.telemetry import named

logger = logging.getLogger("dragoman.hooks")

Lists = tuple[Any, Any, Any, Any]
_EVENTS = ("success", "failure")
_complained: set[tuple[str, str]] = set()
_running: set[asyncio.Task[None]] = set()
"""Tasks are held here, since nobody else holds them."""


class Hooks:
    """See the module. `lists`: what stands in the four lists of `callbacks`."""

    def __init__(self, call: Call, said: Arguments, lists: Lists, *, awaited: bool) -> None:
        self._call = call
        self._notes = said.notes["litellm_metadata"]
        self._awaited = awaited
        everything, before, *after = lists
        self._objects = [hook for hook in everything if not isinstance(hook, str)]
        self._before = list(before)
        self._after = dict(zip(_EVENTS, map(list, after), strict=True))
        self._named = {name: frozenset(_EVENTS) for name in everything if isinstance(name, str)}
        for event, hooks in self._after.items():
            for name in hooks:
                if isinstance(name, str):
                    self._named[name] = self._named.get(name, frozenset()) | {event}
        for hook in (*self._objects, *self._before, *self._after["success"], *self._after["failure"]):
            _check(hook)
        self._details = Details(call, said, awaited=awaited)

    def begin(self) -> None:
        """The call is about to be made."""
        for name, events in self._named.items():
            self._call.watch(_only(events, named.hook(name).begin(self._call, metadata=self._notes)))
        details = self._details
        for hook in self._before:
            if callable(hook):
                self._run(hook, details.at_the_beginning())
        for hook in self._loggers():
            kwargs = details.at_the_beginning()
            self._run(getattr(hook, "log_pre_api_call", None), details.model, kwargs.get("messages"), kwargs)
        self._call.watch(self)

    def __call__(self, call: Call) -> None:
        """The call has settled."""
        try:
            event, response = self._details.settled(call)
        except Exception:
            logger.exception("The hooks could not be told of a call to %s", call.model)
            return
        for hook in self._loggers():
            self._tell(getattr(hook, "log_post_api_call", None), response)
        for hook in self._objects:
            self._tell(self._method(hook, event), response)
        for hook in self._after[event]:
            if not isinstance(hook, str):
                self._tell(self._method(hook, event), response)

    def follow(self, chunks: Any) -> Any:
        """As `chunks`, telling those who want to know of each chunk."""
        told = [method for hook in self._loggers() if (method := self._method(hook, "stream")) is not None]
        return _Followed(chunks, self._tell, told) if told else chunks

    def _loggers(self) -> Iterator[Any]:
        """Objects with methods, each once, wherever they stand."""
        hooks = (*self._objects, *self._before, *self._after["success"], *self._after["failure"])
        return iter({id(hook): hook for hook in hooks if not (isinstance(hook, str) or _plain(hook))}.values())

    def _method(self, hook: Any, event: str) -> Any:
        """What of a hook is told of an event: in an event loop what is awaited goes before what is not."""
        if _plain(hook):
            return hook
        names = (f"async_log_{event}_event", f"log_{event}_event")
        wanted = names if self._awaited else names[1:]
        found = [getattr(hook, name) for name in wanted if _own(hook, name)]
        return found[0] if found else None

    def _tell(self, method: Any, response: Any) -> None:
        kwargs = self._details.now()
        self._run(method, kwargs, response, kwargs["start_time"], kwargs["end_time"])

    def _run(self, method: Callable[..., Any] | None, *arguments: Any) -> None:
        if method is None:
            return
        try:
            found = method(*arguments)
            if inspect.iscoroutine(found):
                self._later(found, method)
        except Exception as problem:  # noqa: BLE001 - a hook never harms a call
            _complain(method, problem)

    def _later(self, work: Any, method: Any) -> None:
        if not self._awaited:
            work.close()
            raise TypeError("it is a coroutine function, which is only awaited in the calls of an event loop")
        task = asyncio.get_running_loop().create_task(_carefully(work, method))
        _running.add(task)
        task.add_done_callback(_running.discard)


class _Followed:
    """Makes chunks and tells of them."""

    def __init__(self, chunks: Any, tell: Callable[[Any, Any], None], told: list[Any]) -> None:
        self._chunks = chunks
        self._tell = tell
        self._told = told

    def of(self, events: list[Any]) -> list[Any]:
        made: list[Any] = self._chunks.of(events)
        for chunk in made:
            for method in self._told:
                self._tell(method, chunk)
        return made


async def _carefully(work: Any, method: Any) -> None:
    try:
        await work
    except Exception as problem:  # noqa: BLE001 - as above
        _complain(method, problem)


def _complain(method: Any, problem: Exception) -> None:
    name = getattr(method, "__qualname__", None) or type(method).__name__
    if (name, type(problem).__name__) not in _complained:
        _complained.add((name, type(problem).__name__))
        logger.error("The hook %s failed; this is told once", name, exc_info=problem)


def _plain(hook: Any) -> bool:
    """A function, and no object with methods for events."""
    return callable(hook) and not _hears(hook)


def _hears(hook: Any) -> bool:
    return any(hasattr(hook, f"log_{event}_event") for event in _EVENTS)


def _own(hook: Any, name: str) -> bool:
    """Whether it has a method of its own, not the one of CustomLogger that does nothing."""
    method = getattr(hook, name, None)
    return method is not None and getattr(method, "__func__", method) is not getattr(CustomLogger, name)


def _check(hook: Any) -> None:
    """Raises ConfigurationError."""
    if isinstance(hook, str):
        named.hook(hook)
    elif not callable(hook) and not _hears(hook):
        raise ConfigurationError(
            f"a hook is a function, an object with log_success_event, or a name ({', '.join(named.NAMES)}), found {hook!r}"
        )


def _only(events: frozenset[str], observe: Observer) -> Observer:
    """`observe` for the calls that end so."""
    if len(events) == len(_EVENTS):
        return observe

    def chosen(call: Call) -> None:
        settlement = call.settlement
        failed = settlement is not None and settlement.error is not None
        if ("failure" if failed else "success") in events:
            observe(call)

    return chosen
