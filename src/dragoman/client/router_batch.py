"""Many answers at once: each of several models, one model to several conversations, or whoever is quickest. For `Router`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any

from dragoman.client.progress import progress as progress_of
from dragoman.core.errors import BadRequestError, CallError

MAX_AT_ONCE = 100
"""Requests of one batch that run at the same time, unless it is told otherwise."""


class BatchCalls(ABC):
    """Answers keep the order of what was asked; one that fails is the error in its place, as LiteLLM has it. `progress` shows
    on stderr how far it has come, by tqdm where that is installed.
    """

    @abstractmethod
    async def acompletion(self, model: str, messages: list[Any], **given: Any) -> Any:
        """One answer; see `Router.acompletion`."""

    async def abatch_completion(
        self,
        models: list[str],
        messages: list[Any],
        *,
        max_at_once: int = MAX_AT_ONCE,
        progress: bool = False,
        **given: Any,
    ) -> list[Any]:
        """Each model's answer to the same messages. To a list of conversations: a list of answers for each, model by model."""
        several = bool(messages) and isinstance(messages[0], list)
        conversations = messages if several else [messages]
        calls = [self.acompletion(model, messages=one, **given) for one in conversations for model in models]
        answers = await _gathered(calls, max_at_once, progress=progress)
        if not several:
            return answers
        return [answers[start : start + len(models)] for start in range(0, len(answers), len(models))]

    async def abatch_completion_one_model_multiple_requests(
        self,
        model: str,
        messages: list[list[Any]],
        *,
        max_at_once: int = MAX_AT_ONCE,
        progress: bool = False,
        **given: Any,
    ) -> list[Any]:
        """One model's answer to each of the conversations."""
        calls = [self.acompletion(model, messages=one, **given) for one in messages]
        return await _gathered(calls, max_at_once, progress=progress)

    async def abatch_completion_fastest_response(self, model: str, messages: list[Any], **given: Any) -> Any:
        """The first good answer of several models ("a, b"); the others are cancelled. Raises the last error if all fail."""
        names = [name.strip() for name in model.split(",") if name.strip()]
        if not names:
            raise BadRequestError("model: expected names with commas between them", attempts=0)
        left = {asyncio.ensure_future(self.acompletion(name, messages=messages, **given)) for name in names}
        try:
            while True:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                good = [task for task in done if task.exception() is None]
                await _close(good[1:])
                if good or not left:
                    return (good or list(done))[0].result()
        finally:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)


async def _close(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Streams that were opened in the same moment as the one that is taken."""
    for task in tasks:
        stream = task.result()
        if hasattr(stream, "aclose"):
            await stream.aclose()


async def _gathered(calls: list[Coroutine[Any, Any, Any]], max_at_once: int, *, progress: bool) -> list[Any]:
    slots, seen = asyncio.Semaphore(max_at_once), progress_of(len(calls), shown=progress)

    async def run(call: Coroutine[Any, Any, Any]) -> Any:
        try:
            async with slots:
                found = await call
        except CallError as error:
            found = error
        finally:
            call.close()
        seen.update(failed=isinstance(found, CallError))
        return found

    try:
        return await asyncio.gather(*map(run, calls))
    finally:
        seen.close()
