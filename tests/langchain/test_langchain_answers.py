"""Answers as LangChain sees them: whole and streamed come to the same, with every detail in its standard place."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage

from dragoman import Client
from dragoman.client.objects import ModelResponse
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    Citation,
    Finish,
    Logprobs,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenLogprob,
    ToolCallPart,
    Usage,
)
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.core.unfold import unfold
from dragoman.dialects import registry
from dragoman.langchain import ChatLiteLLM
from dragoman.langchain.answers import Asked, StreamReader, chat_result
from dragoman.transport.replay import Answer, Pieces, ReplayTransport

ENV = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
DIALECT = registry.get("openai_chat")
LIMITS = (("x-ratelimit-remaining", "7"),)
USAGE = Usage(
    input_tokens=20, output_tokens=12, cache_read_tokens=3, cache_write_tokens=2, reasoning_tokens=4, input_audio_tokens=1
)


def answer_of(*parts: Any, reason: Any = "stop", **more: Any) -> ChatResponse:
    choice = Choice(parts=parts, finish=Finish(reason=reason), **more)
    return ChatResponse(
        id="answer-1",
        model="gpt-4o-2024-08-06",
        choices=(choice,),
        usage=USAGE,
        created=7,
        system_fingerprint="fp",
        service_tier="default",
    )


def model_that_says(answer: ChatResponse, name: str = "openai/gpt-4o", **given: Any) -> ChatLiteLLM:
    def choose(request: HttpRequest) -> Answer:
        if not json.loads(request.body).get("stream"):
            return HttpResponse(
                status=200, headers=(("content-type", "application/json"), *LIMITS), body=DIALECT.encode_response(answer, now=1)
            )
        encoder = DIALECT.stream_encoder(ChatRequest(model="m", include_usage=True), now=1)
        return Pieces(
            pieces=tuple(encoder.encode(event) for event in unfold(answer)),
            headers=(("content-type", "text/event-stream"), *LIMITS),
        )

    return ChatLiteLLM(model=name, client=Client(transport=ReplayTransport(choose=choose), env=ENV), **given)


def whole(chunks: Any) -> AIMessageChunk:
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


def without_indexes(blocks: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in block.items() if key != "index"} for block in blocks]


CITED = TextPart(text="Paris.", citations=(Citation(url="https://x.test", title="X", start_index=0, end_index=5),))
CASES: dict[str, tuple[ChatResponse, list[dict[str, Any]]]] = {
    "text": (answer_of(TextPart(text="hello")), [{"type": "text", "text": "hello"}]),
    "reasoning": (
        answer_of(ReasoningPart(text="hm"), TextPart(text="yes")),
        [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "yes"}],
    ),
    "signed reasoning, twice": (
        answer_of(
            ReasoningPart(text="one", signature="s1"),
            ReasoningPart(redacted="xyz"),
            ReasoningPart(text="two", signature="s2"),
            TextPart(text="yes"),
        ),
        [
            {"type": "reasoning", "reasoning": "one", "extras": {"signature": "s1"}},
            {"type": "non_standard", "value": {"type": "redacted_thinking", "data": "xyz"}},
            {"type": "reasoning", "reasoning": "two", "extras": {"signature": "s2"}},
            {"type": "text", "text": "yes"},
        ],
    ),
    "citations": (
        answer_of(CITED),
        [
            {
                "type": "text",
                "text": "Paris.",
                "annotations": [{"type": "citation", "url": "https://x.test", "title": "X", "start_index": 0, "end_index": 5}],
            }
        ],
    ),
    "refusal": (answer_of(RefusalPart(text="I cannot.")), [{"type": "refusal", "refusal": "I cannot."}]),
    "text and a call": (
        answer_of(TextPart(text="let me see"), ToolCallPart(id="c", name="f", arguments='{"a": 1}'), reason="tool_calls"),
        [{"type": "text", "text": "let me see"}, {"type": "tool_call", "id": "c", "name": "f", "args": {"a": 1}}],
    ),
    "a call with a signature": (
        answer_of(ToolCallPart(id="c", name="f", arguments="{}", signature="sig"), reason="tool_calls"),
        [
            {
                "type": "tool_call",
                "id": "c",
                "name": "f",
                "args": {},
                "extras": {"extra_content": {"google": {"thought_signature": "sig"}}},
            }
        ],
    ),
    "a picture": (
        answer_of(TextPart(text="here"), MediaPart(kind="image", data="UE5H", media_type="image/png")),
        [{"type": "text", "text": "here"}, {"type": "image", "base64": "UE5H", "mime_type": "image/png"}],
    ),
    "sound": (
        answer_of(MediaPart(kind="audio", id="a-1", data="UklG", transcript="hi")),
        [{"type": "audio", "id": "a-1", "base64": "UklG", "mime_type": "audio/wav", "extras": {"transcript": "hi"}}],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_content_blocks_of_a_whole_answer(case: str) -> None:
    answer, blocks = CASES[case]
    assert model_that_says(answer).invoke("x").content_blocks == blocks


@pytest.mark.parametrize("case", CASES)
def test_content_blocks_of_a_stream_that_was_added_up(case: str) -> None:
    answer, blocks = CASES[case]
    assert without_indexes(whole(model_that_says(answer).stream("x")).content_blocks) == blocks


@pytest.mark.parametrize("case", CASES)
def test_standard_content_whole_and_streamed(case: str) -> None:
    answer, blocks = CASES[case]
    model = model_that_says(answer, output_version="v1")
    assert model.invoke("x").content == blocks
    streamed = whole(model.stream("x"))
    assert without_indexes(streamed.content) == blocks
    assert streamed.tool_calls == model.invoke("x").tool_calls


@pytest.mark.parametrize("case", CASES)
def test_a_stream_comes_to_the_whole_answer(case: str) -> None:
    model = model_that_says(CASES[case][0])
    once, streamed = model.invoke("x"), whole(model.stream("x"))
    assert streamed.content == once.content
    assert streamed.tool_calls == once.tool_calls
    assert streamed.usage_metadata == once.usage_metadata
    assert streamed.response_metadata == once.response_metadata
    beside = dict(streamed.additional_kwargs)
    if "thinking_blocks" not in once.additional_kwargs:
        beside.pop("thinking_blocks", None)
    else:
        beside["thinking_blocks"] = without_indexes(beside["thinking_blocks"])
    assert beside == once.additional_kwargs


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
@pytest.mark.parametrize("case", CASES)
def test_messages_survive_json_and_pickle(case: str) -> None:
    message = model_that_says(CASES[case][0]).invoke("x")
    assert loads(dumps(message), allowed_objects="core") == message
    assert pickle.loads(pickle.dumps(message)) == message
    json.dumps(message.response_metadata)


def test_metadata_that_old_programs_print() -> None:
    told = model_that_says(answer_of(TextPart(text="hello")), include_response_headers=True).invoke("x").response_metadata
    assert told["model_name"] == "openai/gpt-4o"
    assert told["model"] == "gpt-4o-2024-08-06"
    assert told["model_provider"] == "openai"
    assert told["finish_reason"] == "stop"
    assert told["token_usage"].prompt_tokens == told["token_usage"]["prompt_tokens"] == 20
    assert (told["id"], told["created"], told["system_fingerprint"], told["service_tier"]) == ("answer-1", 7, "fp", "default")
    assert (told["attempts"], told["fallback_used"]) == (1, False)
    assert told["deployment_id"]
    assert told["response_cost"] > 0
    assert told["headers"]["x-ratelimit-remaining"] == "7"
    assert "headers" not in model_that_says(answer_of(TextPart(text="hello"))).invoke("x").response_metadata


def test_usage_in_standard_words() -> None:
    assert model_that_says(answer_of(TextPart(text="hello"))).invoke("x").usage_metadata == {
        "input_tokens": 20,
        "output_tokens": 12,
        "total_tokens": 32,
        "input_token_details": {"audio": 1, "cache_creation": 2, "cache_read": 3},
        "output_token_details": {"audio": 0, "reasoning": 4},
    }


LOGPROB = TokenLogprob(token="hello", logprob=-0.5, top_logprobs=(TokenLogprob(token="hi", logprob=-1.0),))


def test_logprobs_plain_and_streamed() -> None:
    model = model_that_says(answer_of(TextPart(text="hello"), logprobs=Logprobs(content=(LOGPROB,))))
    plain = model.invoke("x").response_metadata["logprobs"]
    assert [token["token"] for token in plain["content"]] == ["hello"]
    assert plain["content"][0]["top_logprobs"][0]["token"] == "hi"
    streamed = whole(model.stream("x", logprobs=True)).response_metadata["logprobs"]
    assert streamed["content"] == plain["content"]


def test_every_piece_of_text_is_a_chunk_of_its_own() -> None:
    assert [chunk.content for chunk in ChatLiteLLM(model="demo/echo").stream("hello there") if chunk.content] == [
        "hell",
        "o",
        " ther",
        "e",
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [('{"a": ', "no JSON"), ("[1]", "no JSON object but list"), ('"x"', "no JSON object but str")],
)
def test_a_call_that_cannot_be_read_is_an_invalid_call(arguments: str, error: str) -> None:
    message = model_that_says(answer_of(ToolCallPart(id="c", name="f", arguments=arguments))).invoke("x")
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["args"] == arguments
    assert error in str(message.invalid_tool_calls[0]["error"])


def test_a_call_without_arguments_has_none() -> None:
    message = model_that_says(answer_of(ToolCallPart(id="c", name="f", arguments=""))).invoke("x")
    assert message.tool_calls == [{"type": "tool_call", "id": "c", "name": "f", "args": {}}]


def test_a_custom_call_comes_back_as_one() -> None:
    call = ToolCallPart(id="c", name="run", arguments="print(1)", kind="custom")
    model = model_that_says(answer_of(call))
    for message in (model.invoke("x"), whole(model.stream("x"))):
        assert message.tool_calls[0]["args"] == {"__arg1": "print(1)"}
        assert message.additional_kwargs["tool_call_extras"] == {"c": {"type": "custom"}}


def test_several_choices_are_all_there_and_counted_once() -> None:
    choices = tuple(Choice(index=i, parts=(TextPart(text=f"t{i}"),), finish=Finish(reason="stop")) for i in range(3))
    answer = ChatResponse(id="a", model="m", choices=choices, usage=USAGE)
    result = model_that_says(answer).generate([[HumanMessage("x")]], n=3)
    messages: list[Any] = [generation.message for generation in result.generations[0]]
    assert [message.content for message in messages] == ["t0", "t1", "t2"]
    assert [bool(message.usage_metadata) for message in messages] == [True, False, False]
    assert result.llm_output is not None
    assert result.llm_output["token_usage"]["total_tokens"] == 32


def test_blocks_that_only_a_provider_knows_are_kept() -> None:
    held = {"type": "server_tool_use", "id": "s"}
    message = model_that_says(answer_of(OpaquePart(dialect="anthropic_messages", value=held), TextPart(text="x"))).invoke("x")
    assert {"type": "non_standard", "value": held} in message.content_blocks


def test_other_classes_messages_are_read_as_before() -> None:
    ChatLiteLLM(model="openai/gpt-4o")
    theirs = AIMessage([{"type": "thinking", "thinking": "hm"}], response_metadata={"model_provider": "anthropic"})
    assert theirs.content_blocks == [{"type": "reasoning", "reasoning": "hm"}]


# -------------------------------------------------------------------------------------------- objects of another library
class Theirs:
    """As a pydantic object of LiteLLM's looks from here."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._hidden_params = {"model_id": "d-1", "additional_headers": {"x-litellm-model-group": "fast"}}

    def model_dump(self) -> dict[str, Any]:
        return self._fields


def test_an_answer_of_a_real_litellm_object() -> None:
    message = {"role": "assistant", "content": "hi", "tool_calls": None, "function_call": None}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": None}
    fields = {"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    asked = Asked(model="fast", provider="openai", routed=True)
    made: Any = chat_result(Theirs(fields), asked).generations[0].message
    assert (made.content, made.usage_metadata["total_tokens"]) == ("hi", 3)
    assert made.response_metadata["deployment_id"] == "d-1"
    delta = {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}
    assert "".join(chunk.text for chunk in StreamReader(asked).read(Theirs(delta))) == "hi"


def test_a_gateways_word_on_who_answered_reaches_the_tracer_and_not_the_message() -> None:
    made = ModelResponse.of({"choices": [{"message": {"content": "hi"}}]})
    made.beside({}, {"x-langsmith-gateway-metadata": '{"provider": "anthropic", "model": "claude-real"}'})
    generation = chat_result(made, Asked(model="m", provider="openai")).generations[0]
    assert generation.generation_info == {"lc_gateway_metadata": {"provider": "anthropic", "model": "claude-real"}}
    assert "lc_gateway_metadata" not in generation.message.response_metadata
