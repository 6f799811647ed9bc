"""What a row's quirks change in answers, where those in `quirks` change requests: a dialect as this provider means it. Pure.

`engine.prepare` asks for it once for each deployment and operation; without such a quirk the dialect is given back as it is.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dragoman.core.chat import Usage
from dragoman.core.events import Event, UsageReport
from dragoman.providers.base import Quirks


def as_meant(dialect: Any, quirks: Quirks) -> Any:
    """The dialect, reading answers as the provider means them."""
    return _ReasoningApart(dialect) if quirks.reasoning_apart else dialect


class _ReasoningApart:
    """A dialect in whose usage the provider leaves reasoning out of the output tokens that it bills together with them."""

    def __init__(self, dialect: Any) -> None:
        self._dialect = dialect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dialect, name)

    def decode_response(self, *answer: Any) -> Any:
        response = self._dialect.decode_response(*answer)
        return response if response.usage is None else replace(response, usage=_together(response.usage))

    def stream_decoder(self) -> _Decoder:
        return _Decoder(self._dialect.stream_decoder())


class _Decoder:
    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def feed(self, chunk: bytes) -> list[Event]:
        return [_reported(event) for event in self._decoder.feed(chunk)]

    def close(self) -> list[Event]:
        return [_reported(event) for event in self._decoder.close()]


def _reported(event: Event) -> Event:
    return UsageReport(usage=_together(event.usage)) if type(event) is UsageReport else event


def _together(usage: Usage) -> Usage:
    return replace(usage, output_tokens=usage.output_tokens + usage.reasoning_tokens)
