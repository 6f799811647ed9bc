"""`mock_response`: answers without a request. The usage is what programs written against LiteLLM's mocks count on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import dragoman

HELLO = [{"role": "user", "content": "hello"}]


def mock(response: Any, **given: Any) -> Any:
    return dragoman.completion("openai/gpt-4o", HELLO, mock_response=response, **given)


def test_text_is_the_answer() -> None:
    response = mock("It is sunny.")
    assert response.choices[0].message.content == "It is sunny."
    assert (response.choices[0].finish_reason, response.model) == ("stop", "openai/gpt-4o")
    usage = response.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 20, 30)


def test_a_stream_comes_in_pieces_of_three_characters() -> None:
    chunks = list(mock("sunny day", stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert pieces == ["sun", "ny ", "day"]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 30


def test_without_being_asked_a_stream_reports_no_usage() -> None:
    assert all(chunk.choices for chunk in mock("x", stream=True))


def test_a_response_is_returned_as_it_is() -> None:
    own = dragoman.ModelResponse.of({"id": "mine", "choices": [{"message": {"content": "hi", "odd": 1}}]})
    assert mock(own) is own


def test_a_response_is_streamed_as_its_text() -> None:
    own = dragoman.ModelResponse.of({"id": "mine", "choices": [{"message": {"content": "hi"}}]})
    assert "".join(chunk.choices[0].delta.content or "" for chunk in mock(own, stream=True)) == "hi"


def test_an_exception_is_raised() -> None:
    class OwnError(Exception):
        pass

    with pytest.raises(OwnError):
        mock(OwnError())
    with pytest.raises(dragoman.RateLimitError, match="slow"):
        mock(dragoman.RateLimitError("slow"))


@pytest.mark.parametrize("prefix", ["litellm.", "dragoman."])
@pytest.mark.parametrize("name", ["RateLimitError", "ContextWindowExceededError", "InternalServerError", "Timeout"])
def test_the_name_of_an_exception_is_raised(prefix: str, name: str) -> None:
    with pytest.raises(getattr(dragoman, name)) as caught:
        mock(prefix + name)
    assert caught.value.model == "openai/gpt-4o"


@pytest.mark.parametrize("text", ["RateLimitError", "litellm.completion", "dragoman.", "litellm.NoSuchError"])
def test_other_text_is_only_text(text: str) -> None:
    assert mock(text).choices[0].message.content == text


def test_anything_else_is_refused() -> None:
    with pytest.raises(dragoman.BadRequestError, match="mock_response: expected text"):
        mock(7)


def test_awaited_too() -> None:
    async def main() -> None:
        response = await dragoman.acompletion("x/y", HELLO, mock_response="hello")
        assert response.choices[0].message.content == "hello"
        stream = await dragoman.acompletion("x/y", HELLO, mock_response="hello", stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "hello"
        with pytest.raises(dragoman.Timeout):
            await dragoman.acompletion("x/y", HELLO, mock_response="litellm.Timeout")

    asyncio.run(main())


def test_a_mocked_stream_may_be_closed_early() -> None:
    stream = mock("hello", stream=True)
    next(stream)
    stream.close()
    assert list(stream) == []
    assert stream.response is None
