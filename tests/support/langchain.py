"""An upstream for LangChain's standard tests: strict about what it is sent, and rule-based in what it answers.

`standard_answers(request)` reads OpenAI's or Anthropic's dialect with this package's own downstream halves, so that one set of
rules serves both; `respond` are the rules, in our vocabulary. `SmallRouter` is the duck type of a router over a client.
"""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec.structs import replace

from dragoman import AsyncClient, Client
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    Finish,
    MediaPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.core.unfold import unfold
from dragoman.dialects import registry
from dragoman.transport.replay import Answer, AsyncReplayTransport, Pieces, ReplayTransport

ENV = {
    "GEMINI_API_KEY": "key-of-gemini",
    "OPENAI_API_KEY": "key-of-openai",
    "ANTHROPIC_API_KEY": "key-of-anthropic",
    "AZURE_API_KEY": "key-of-azure",
}
USAGE = Usage(
    input_tokens=20,
    output_tokens=12,
    cache_read_tokens=3,
    cache_write_tokens=2,
    reasoning_tokens=4,
    input_audio_tokens=1,
    output_audio_tokens=1,
)
MORE = {"modalities", "audio", "min_p"}
"""Parameters that the strict server takes and our vocabulary has no word for."""


def clients(**defaults: Any) -> tuple[Client, AsyncClient]:
    """A sync and an async client of the standard upstream."""
    return (
        Client(transport=ReplayTransport(choose=standard_answers), env=ENV, **defaults),
        AsyncClient(transport=AsyncReplayTransport(choose=standard_answers), env=ENV, **defaults),
    )


def standard_answers(request: HttpRequest) -> Answer:
    """A whole answer, or a stream of it, or a 400 for a request that a strict server would not take."""
    if request.url.endswith(("/embeddings", ":batchEmbedContents")):
        return vectors(request)
    dialect = registry.get(next(name for ending, name in DIALECTS.items() if ending in request.url))
    asked = dialect.decode_request(request.body)
    if "enerateContent" in request.url:
        asked = replace(asked, model=request.url.rpartition("/")[2].partition(":")[0], stream="stream" in request.url)
    problem = fault(asked)
    if problem:
        body = {"error": {"message": problem, "type": "invalid_request_error"}}
        return HttpResponse(status=400, headers=(("content-type", "application/json"),), body=json.dumps(body).encode())
    answer = respond(asked)
    if not asked.stream:
        body = dialect.encode_response(answer, now=1)
        return HttpResponse(status=200, headers=(("content-type", "application/json"),), body=body)
    encoder = dialect.stream_encoder(asked, now=1)
    return Pieces(pieces=tuple(encoder.encode(event) for event in unfold(answer)))


DIALECTS = {"/messages": "anthropic_messages", "enerateContent": "gemini", "/chat/completions": "openai_chat"}
"""How the path of a request ends -> the dialect it is in. Gemini has the model and the streaming in its path."""


def vectors(request: HttpRequest) -> HttpResponse:
    asked = json.loads(request.body)
    if "requests" in asked:  # Gemini's
        texts = [part["text"] for one in asked["requests"] for part in one["content"]["parts"]]
        body: Any = {"embeddings": [{"values": [float(len(text)), 0.5]} for text in texts]}
        return HttpResponse(status=200, headers=(("content-type", "application/json"),), body=json.dumps(body).encode())
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    data = [{"object": "embedding", "index": index, "embedding": [float(len(text)), 0.5]} for index, text in enumerate(texts)]
    body = {"object": "list", "model": asked["model"], "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return HttpResponse(status=200, headers=(("content-type", "application/json"),), body=json.dumps(body).encode())


# -------------------------------------------------------------------------------------------------------------- strictness
def fault(asked: ChatRequest) -> str | None:
    """Why a strict server would refuse this, or None."""
    known: set[str] = set()
    for message in asked.messages:
        known |= {part.id for part in message.parts if isinstance(part, ToolCallPart)}
        for part in message.parts:
            if isinstance(part, ToolResultPart) and part.tool_call_id not in known:
                return f"no call before the tool result {part.tool_call_id}"
            if isinstance(part, ToolResultPart) and any(isinstance(item, MediaPart) for item in part.parts):
                return "media in a tool result"
    unknown = {key for held in asked.extra.values() for key in held if not key.startswith("_")} - MORE
    if unknown:
        return f"unknown fields: {sorted(unknown)}"
    form = asked.response_format
    return loose(form.schema) if form is not None and form.schema is not None and form.strict else None


def loose(schema: Any) -> str | None:
    """Where a schema breaks the rules of strict mode."""
    if isinstance(schema, list):
        return next((found for item in schema if (found := loose(item))), None)
    if not isinstance(schema, dict):
        return None
    if "default" in schema:
        return "a default in a strict schema"
    if isinstance(schema.get("properties"), dict):
        if set(schema.get("required", ())) != set(schema["properties"]):
            return "a property that is not required in a strict schema"
        if schema.get("additionalProperties") is not False:
            return "an open object in a strict schema"
    return next((found for value in schema.values() if (found := loose(value))), None)


# ------------------------------------------------------------------------------------------------------------------- rules
def respond(asked: ChatRequest) -> ChatResponse:
    parts: tuple[Any, ...]
    called = calls(asked)
    if called:
        parts, reason = called, "tool_calls"
    else:
        parts, reason = (TextPart(text=words(asked)),), "stop"
    choice = Choice(parts=parts, finish=Finish(reason=reason))
    return ChatResponse(id="answer-1", model=asked.model, choices=(choice,), usage=USAGE, created=1)


def calls(asked: ChatRequest) -> tuple[ToolCallPart, ...]:
    """A forced tool; or the first one, when the conversation does not end with a tool's result and asks for one."""
    tools = [tool for tool in asked.tools if isinstance(tool, Tool)]
    choice = asked.tool_choice
    if choice is not None and choice.mode == "named":
        tools = [tool for tool in tools if tool.name == choice.name]
    forced = choice is not None and choice.mode in ("required", "named")
    last = asked.messages[-1]
    done = any(isinstance(part, ToolResultPart) for part in last.parts)
    wanted = forced or (not done and not any(isinstance(p, ToolResultPart) for m in asked.messages for p in m.parts))
    if not tools or not wanted:
        return ()
    arguments = filled(tools[0].parameters or {})
    quoted = re.search(r"named '([^']+)'", said(asked))
    if quoted and "customer_name" in arguments:
        arguments["customer_name"] = quoted[1]
    return (ToolCallPart(id="call_1", name=tools[0].name, arguments=json.dumps(arguments, ensure_ascii=False)),)


def said(asked: ChatRequest) -> str:
    """The texts of the last message."""
    return "".join(part.text for part in asked.messages[-1].parts if isinstance(part, TextPart))


def words(asked: ChatRequest) -> str:
    form = asked.response_format
    if form is not None and form.kind == "json_schema":
        return json.dumps(filled(form.schema or {}))
    if (form is not None and form.kind == "json_object") or "nothing other than JSON" in said(asked):
        return json.dumps({"setup": "Why?", "punchline": "Because."})
    text = "Hello, this is an answer"
    return next((text.partition(stop)[0] for stop in asked.stop if stop in text), text)


def filled(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """A value that the schema allows."""
    root = schema if root is None else root
    if "$ref" in schema:
        return filled(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return filled(schema[key][0], root)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: filled(held, root) for name, held in schema.get("properties", {}).items()}
    plain: dict[str, Any] = {"integer": 3, "number": 3, "boolean": True, "null": None, "array": []}
    return plain.get(kind, "some text")


# ------------------------------------------------------------------------------------------------------------------ router
class SmallRouter:
    """What the LangChain classes need of a router: the first deployment of a group answers, by a client."""

    def __init__(self, model_list: list[dict[str, Any]], client: Client, async_client: AsyncClient) -> None:
        self.model_list = model_list
        self.client = client
        self.async_client = async_client
        self.calls: list[dict[str, Any]] = []

    def _placed(self, given: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(given)
        entry = next((entry for entry in self.model_list if entry["model_name"] == given["model"]), self.model_list[0])
        return given | entry["litellm_params"]

    def completion(self, **given: Any) -> Any:
        return self.client.completion(**self._placed(given))

    async def acompletion(self, **given: Any) -> Any:
        return await self.async_client.completion(**self._placed(given))

    def embedding(self, **given: Any) -> Any:
        return self.client.embedding(**self._placed(given))

    async def aembedding(self, **given: Any) -> Any:
        return await self.async_client.embedding(**self._placed(given))
