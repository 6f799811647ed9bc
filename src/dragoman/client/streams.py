"""Streamed completions as Python iterators. Close one early (or leave its `with` block) and upstream is cancelled at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import Any, Self

from dragoman.client.objects import ModelResponse, ModelResponseStream
from dragoman.client.openai_errors import dress
from dragoman.client.results import Chunks, model_response
from dragoman.core.errors import DragomanError
from dragoman.core.events import Event
from dragoman.engine.streams import StreamState


class _Base:
    """What both kinds are, but for moving. `state` is None for a mocked stream; `now` is Unix seconds."""

    def __init__(self, iterator: Any, state: StreamState | None, *, now: int) -> None:
        self._iterator = iterator
        self._state = state
        self._now = now

    @property
    def response(self) -> ModelResponse | None:
        """What has come so far, as one ModelResponse; None for a mocked stream."""
        return None if self._state is None else model_response(self._state.response, now=self._now)

    def _abandon(self) -> Any:
        """Settle the call, which a generator that never ran does not do, and give back what is open upstream."""
        if self._state is None:
            return None
        self._state.settle()
        return self._state.opened.stream


class CompletionStream(_Base):
    """Iterates over ModelResponseStream chunks. Raises StreamInterruptedError where the answer breaks off."""

    def __iter__(self) -> Iterator[ModelResponseStream]:
        iterator: Iterator[ModelResponseStream] = self._iterator
        return iterator

    def __next__(self) -> ModelResponseStream:
        chunk: ModelResponseStream = next(self._iterator)
        return chunk

    def close(self) -> None:
        stream = self._abandon()
        self._iterator.close()
        if stream is not None:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncCompletionStream(_Base):
    """As CompletionStream, for `async for`. It may be closed while another task waits for its next chunk."""

    def __aiter__(self) -> AsyncIterator[ModelResponseStream]:
        iterator: AsyncIterator[ModelResponseStream] = self._iterator
        return iterator

    async def __anext__(self) -> ModelResponseStream:
        chunk: ModelResponseStream = await anext(self._iterator)
        return chunk

    async def aclose(self) -> None:
        stream = self._abandon()
        if stream is not None:
            await stream.aclose()
        if not self._iterator.ag_running:
            await self._iterator.aclose()

    close = aclose

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def chunks_of(batches: Iterator[list[Event]], chunks: Chunks) -> Generator[ModelResponseStream]:
    """What a CompletionStream iterates over."""
    try:
        for batch in batches:
            yield from chunks.of(batch)
    except DragomanError as error:
        dress(error)
        raise


async def achunks_of(batches: AsyncGenerator[list[Event]], chunks: Chunks) -> AsyncGenerator[ModelResponseStream]:
    """What an AsyncCompletionStream iterates over."""
    try:
        async for batch in batches:
            for chunk in chunks.of(batch):
                yield chunk
    except DragomanError as error:
        dress(error)
        raise
    finally:
        await batches.aclose()
