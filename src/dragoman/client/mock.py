"""`mock_response`: an answer given by the caller instead of a provider. No request is made.

A string is the answer; an exception (or the name of one) is raised; a ModelResponse is returned as it is. Usage is always
10 prompt and 20 completion tokens, which programs written against LiteLLM's mocks count on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dragoman.client.objects import ModelResponse
from dragoman.core import errors
from dragoman.core.chat import ChatResponse, Choice, Finish, TextPart, Usage
from dragoman.core.events import Event, PartEnd, PartStart, ResponseEnd, ResponseStart, TextDelta, UsageReport

_PIECE = 3
_USAGE = Usage(input_tokens=10, output_tokens=20)
_ID = "chatcmpl-mock"
_FINISH = Finish(reason="stop", native="stop")


def mocked(model: str, mock: Any) -> ChatResponse | ModelResponse:
    """The answer that `mock` stands for. Raises what it says to raise."""
    if isinstance(mock, BaseException):
        raise mock
    if isinstance(mock, ModelResponse):
        return mock
    if not isinstance(mock, str):
        raise errors.BadRequestError(f"mock_response: expected text, an exception or a ModelResponse, found {mock!r}")
    name = mock.removeprefix("litellm.").removeprefix("dragoman.")
    kind = getattr(errors, name, None)
    if name != mock and isinstance(kind, type) and issubclass(kind, errors.CallError):
        raise kind(f"mock_response asked for a {name}", llm_provider="mock", model=model)
    choice = Choice(parts=(TextPart(text=mock),), finish=_FINISH)
    return ChatResponse(id=_ID, model=model, choices=(choice,), usage=_USAGE)


def mocked_events(answer: ChatResponse | ModelResponse) -> Iterator[list[Event]]:
    """The text of the same answer as a stream, in pieces of three characters."""
    text = _text(answer)
    yield [ResponseStart(id=answer.id, model=answer.model), PartStart(index=0, part=TextPart(text=""))]
    for start in range(0, len(text), _PIECE):
        yield [TextDelta(index=0, text=text[start : start + _PIECE])]
    yield [PartEnd(index=0), UsageReport(usage=_USAGE), ResponseEnd(finishes=(_FINISH,))]


def _text(answer: ChatResponse | ModelResponse) -> str:
    if isinstance(answer, ModelResponse):
        return answer.choices[0].message.content or ""
    return "".join(part.text for part in answer.choices[0].parts if isinstance(part, TextPart))
