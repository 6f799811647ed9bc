"""Google's own Python client reads what the downstream half writes, and the downstream half reads what the client sends.

Its requests never leave the process: a transport of httpx answers them. What is told to it came from other providers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    Citation,
    Finish,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
    Usage,
    Warning,
)
from dragoman.core.errors import DragomanError, RateLimitError
from dragoman.core.unfold import unfold
from dragoman.dialects.anthropic_messages import DIALECT as ANTHROPIC
from dragoman.dialects.gemini import DIALECT

genai = pytest.importorskip("google.genai")
httpx = pytest.importorskip("httpx")
types = genai.types

SIGNATURE = "RXNpZ25lZA=="
ANSWER = ChatResponse(
    id="msg_1",
    model="claude-m",
    choices=(
        Choice(
            parts=(
                ReasoningPart(text="Let me think.", signature=SIGNATURE),
                ReasoningPart(redacted="c2VhbGVk"),
                TextPart(
                    text="Été: ask.", citations=(Citation(url="https://a.example", title="A", start_index=0, end_index=3),)
                ),
                ToolCallPart(id="toolu_1", name="weather", arguments='{"city":"Paris"}'),
            ),
            finish=Finish(reason="tool_calls", native="tool_use"),
        ),
    ),
    usage=Usage(input_tokens=20, output_tokens=9, reasoning_tokens=4, cache_read_tokens=8),
    warnings=(Warning(field="seed", message="left out"),),
)


class Server:
    """Answers each request with the next of `answers`, and keeps what our downstream half made of it."""

    def __init__(self, *answers: Callable[[ChatRequest], tuple[int, bytes, str]]) -> None:
        self.answers = list(answers)
        self.requests: list[ChatRequest] = []
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []

    def __call__(self, request: Any) -> Any:
        self.paths.append(request.url.raw_path.decode())
        self.bodies.append(json.loads(request.content))
        self.requests.append(DIALECT.decode_request(request.content))
        status, body, kind = self.answers.pop(0)(self.requests[-1])
        return httpx.Response(status, content=body, headers={"content-type": kind})

    @property
    def client(self) -> Any:
        options = types.HttpOptions(base_url="http://gateway.example", client_args={"transport": httpx.MockTransport(self)})
        return genai.Client(api_key="sk-of-ours", http_options=options)


def whole(response: ChatResponse) -> Callable[[ChatRequest], tuple[int, bytes, str]]:
    return lambda _: (200, DIALECT.encode_response(response, now=0), "application/json")


def streamed(events: list[ev.Event], tail: bytes = b"") -> Callable[[ChatRequest], tuple[int, bytes, str]]:
    def answer(request: ChatRequest) -> tuple[int, bytes, str]:
        encoder = DIALECT.stream_encoder(request, now=0)
        return 200, b"".join(encoder.encode(event) for event in events) + tail, "text/event-stream"

    return answer


def failed(error: DragomanError) -> Callable[[ChatRequest], tuple[int, bytes, str]]:
    return lambda _: (error.status_code, DIALECT.encode_error(error), "application/json")


def check_answer(parts: list[Any]) -> None:
    thought = [part for part in parts if part.thought]
    assert "".join(part.text or "" for part in thought) == "Let me think."
    assert "".join(part.text or "" for part in parts if not part.thought) == "Été: ask."
    [call] = [part.function_call for part in parts if part.function_call]
    assert (call.id, call.name, call.args) == ("toolu_1", "weather", {"city": "Paris"})


def test_a_whole_answer():
    server = Server(whole(ANSWER))
    with server.client as client:
        response = client.models.generate_content(model="our-name", contents="What is the weather?")
    assert server.paths[0].endswith("/models/our-name:generateContent")
    assert server.requests[0].model == ""
    check_answer(response.candidates[0].content.parts)
    assert (response.model_version, response.response_id) == ("claude-m", "msg_1")
    assert response.candidates[0].finish_reason == types.FinishReason.STOP
    usage = response.usage_metadata
    counts = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count)
    assert counts == (20, 5, 4, 29)
    assert usage.cached_content_token_count == 8
    grounding = response.candidates[0].grounding_metadata
    assert grounding.grounding_chunks[0].web.uri == "https://a.example"
    segment = grounding.grounding_supports[0].segment
    assert (segment.start_index, segment.end_index, segment.text) == (0, 5, "Été")


def test_a_stream():
    server = Server(streamed(list(unfold(ANSWER))))
    with server.client as client:
        chunks = list(client.models.generate_content_stream(model="our-name", contents="What is the weather?"))
    assert server.paths[0].endswith("/models/our-name:streamGenerateContent?alt=sse")
    check_answer([part for chunk in chunks for part in chunk.candidates[0].content.parts or ()])
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == 29
    assert {chunk.response_id for chunk in chunks} == {"msg_1"}


@pytest.mark.parametrize("stream", [False, True])
def test_what_an_answer_held_comes_back_to_its_provider(stream: bool):
    """A chat with tools: signatures and sealed thoughts of Anthropic pass through the client and reach Anthropic unchanged."""
    server = Server(streamed(list(unfold(ANSWER))) if stream else whole(ANSWER), whole(ANSWER))
    result = types.Part.from_function_response(name="weather", response={"output": "sunny"})
    result.function_response.id = "toolu_1"
    with server.client as client:
        chat = client.chats.create(model="our-name")
        if stream:
            list(chat.send_message_stream("What is the weather?"))
        else:
            chat.send_message("What is the weather?")
        chat.send_message(result)
    request = server.requests[-1]
    history = [part for message in request.messages if message.role == "assistant" for part in message.parts]
    thoughts = [part for part in history if isinstance(part, ReasoningPart)]
    assert "".join(part.text for part in thoughts) == "Let me think."
    assert {part.signature for part in thoughts} >= {SIGNATURE}
    assert [part.redacted for part in thoughts if part.redacted] == ["c2VhbGVk"]
    [call] = [part for part in history if isinstance(part, ToolCallPart)]
    assert (call.id, json.loads(call.arguments)) == ("toolu_1", {"city": "Paris"})
    [answer] = request.messages[-1].parts
    assert isinstance(answer, ToolResultPart)
    assert (request.messages[-1].role, answer.tool_call_id, answer.parts) == ("tool", "toolu_1", (TextPart(text="sunny"),))
    body = ANTHROPIC.encode_request(request).body
    blocks = [block for message in body["messages"] for block in message["content"]]
    assert [block["signature"] for block in blocks if block["type"] == "thinking" and block["signature"]] == [SIGNATURE]
    upstream = DIALECT.encode_request(request)
    assert SIGNATURE not in json.dumps(upstream.body), "and never Google"


def test_what_the_client_can_ask_is_understood():
    def weather(city: str) -> str:
        """Tells the weather."""
        return city

    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "nullable": True}}, "required": ["n"]}
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        candidate_count=2,
        max_output_tokens=100,
        stop_sequences=["END"],
        seed=7,
        response_mime_type="application/json",
        response_schema=schema,
        thinking_config=types.ThinkingConfig(thinking_budget=256, include_thoughts=True),
        tools=[weather, types.Tool(google_search=types.GoogleSearch())],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["weather"])
        ),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")],
        cached_content="cachedContents/1",
    )
    image = types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png")
    server = Server(whole(ANSWER))
    with server.client as client:
        client.models.generate_content(model="our-name", contents=["Look:", image], config=config)
    request = server.requests[0]
    assert [message.role for message in request.messages] == ["system", "user"]
    assert (request.temperature, request.top_p, request.top_k, request.n, request.seed) == (0.5, 0.9, 40, 2, 7)
    assert (request.max_tokens, request.stop) == (100, ("END",))
    assert request.response_format.schema["properties"] == {"n": {"type": ["integer", "null"]}}
    assert (request.reasoning.budget_tokens, request.reasoning.enabled) == (256, True)
    [function] = [tool for tool in request.tools if isinstance(tool, Tool)]
    assert (function.name, function.parameters["properties"]["city"]["type"]) == ("weather", "string")
    assert (request.tool_choice.mode, request.tool_choice.name) == ("named", "weather")
    encoded = DIALECT.encode_request(request)
    assert encoded.warnings == ()
    body = server.bodies[0]
    thinking = body["generationConfig"].pop("thinkingConfig")
    assert encoded.body["generationConfig"].pop("thinkingConfig") == {
        "thinkingBudget": thinking["thinking_budget"],
        "includeThoughts": thinking["include_thoughts"],
    }, "a protocol buffer, which takes both spellings"
    assert encoded.body["generationConfig"] == body["generationConfig"]
    functions, search = encoded.body["tools"]
    assert functions["functionDeclarations"][0]["parametersJsonSchema"]["required"] == ["city"]
    assert search == {"googleSearch": {}}
    assert {key: encoded.body[key] for key in ("safetySettings", "cachedContent", "toolConfig")} == {
        key: body[key] for key in ("safetySettings", "cachedContent", "toolConfig")
    }


def test_a_failure():
    error = RateLimitError("openai answered 429: slow down", retry_after=2.5)
    with Server(failed(error)).client as client, pytest.raises(genai.errors.ClientError) as caught:
        client.models.generate_content(model="our-name", contents="Hi")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert caught.value.message == "openai answered 429: slow down"
    assert caught.value.details["error"]["details"][0]["retryDelay"] == "2.5s"


def test_a_stream_that_breaks_is_an_error():
    begun = [
        ev.ResponseStart(id="1", model="m"),
        ev.PartStart(index=0, part=TextPart(text="")),
        ev.TextDelta(index=0, text="Hi"),
    ]
    broken = DIALECT.encode_stream_error(DragomanError("the stream broke"))
    with Server(streamed(begun, broken)).client as client:
        stream = client.models.generate_content_stream(model="our-name", contents="Hi")
        assert next(stream).text == "Hi"
        with pytest.raises(genai.errors.APIError, match="the stream broke"):
            next(stream)
