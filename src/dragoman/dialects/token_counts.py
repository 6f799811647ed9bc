"""What the dialects that count tokens share: what of a ChatRequest counts, and the answer, a number.

How a model is to answer (sampling, limits, streams) takes no tokens; it is left out before anything is encoded, and so makes
neither a refused field nor a Warning. Called by those dialects, which are a file each.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import ChatRequest, Usage
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import TokenCountResponse
from dragoman.dialects.media_wire import read_answer


def counted(request: ChatRequest) -> ChatRequest:
    """The request without what takes no tokens."""
    return ChatRequest(
        model=request.model,
        messages=request.messages,
        tools=request.tools,
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
        response_format=request.response_format,
        reasoning=request.reasoning,
        extra=request.extra,
    )


def read_count(body: bytes, key: str) -> TokenCountResponse:
    """Raises ResponseDecodeError where there is no count under `key`, or what an error inside a 200 stands for."""
    found: Any = read_answer(body).get(key)
    if type(found) is not int or found < 0:
        raise ResponseDecodeError(f"the answer holds no count {key!r}")
    return TokenCountResponse(input_tokens=found)


class Counting:
    """The verbs that token counts have alike: a count is billed by nobody."""

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def read_usage(self, body: bytes) -> Usage | None:  # noqa: ARG002 - the verb's signature
        return None
