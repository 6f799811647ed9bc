"""What Dragoman sends to Bedrock, as tables: each thing that Converse cannot say, or says otherwise for a family of models.

And a property: whatever the request, the body is one that AWS's own description of the API allows, and what was lost is said.
"""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from dragoman.core.chat import (
    ChatRequest,
    Citation,
    MediaPart,
    Message,
    NativeTool,
    OpaquePart,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from dragoman.core.errors import BadRequestError, ResponseDecodeError
from dragoman.core.operations import EmbeddingRequest
from dragoman.dialects import registry
from dragoman.dialects.bedrock_converse import DIALECT
from support.strategies import chat_requests

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD_CLAUDE = "anthropic.claude-3-7-sonnet-20250219-v1:0"
NOVA = "us.amazon.nova-lite-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
QWEN = "qwen.qwen3-32b-v1:0"
COHERE = "cohere.command-r-plus-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
LOOK = Tool(name="look", parameters={"type": "object", "properties": {}})
SPEC = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
IN_JSON = ResponseFormat(kind="json_schema", schema=SCHEMA)
JSON_TOOL = {
    "toolSpec": {
        "name": "dragoman_json_answer",
        "description": "The final answer. Call this tool to answer.",
        "inputSchema": {"json": SCHEMA},
    }
}


def user(*parts: Any) -> Message:
    return Message(role="user", parts=tuple(TextPart(text=part) if isinstance(part, str) else part for part in parts))


HI = (user("hi"),)
CALLED = (
    user("hi"),
    Message(role="assistant", parts=(ToolCallPart(id="c", name="look"),)),
    Message(role="tool", parts=(ToolResultPart(tool_call_id="c", parts=(TextPart(text="red"),)),)),
)


def encoded(
    model: str = CLAUDE, messages: tuple[Message, ...] = HI, **fields: Any
) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """The body without the messages, and the field and code of each warning."""
    body, warnings, _ = DIALECT.encode_request(ChatRequest(model=model, messages=messages, **fields))
    return body, {(warning.field, warning.code) for warning in warnings}


def rest(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "messages"}


# ------------------------------------------------------------------------------------------------------------- parameters
def extra(**fields: Any) -> dict[str, Any]:
    return {"additionalModelRequestFields": fields}


PARAMETERS = [
    (CLAUDE, {"top_k": 4}, extra(top_k=4), set()),
    (NOVA, {"top_k": 4}, extra(inferenceConfig={"topK": 4}), set()),
    (COHERE, {"top_k": 4, "seed": 1, "presence_penalty": 0.5}, extra(k=4, seed=1, presence_penalty=0.5), set()),
    (LLAMA, {"top_k": 4}, {}, {("top_k", "dropped")}),
    (CLAUDE, {"seed": 1, "n": 2, "logprobs": True}, {}, {("seed", "dropped"), ("n", "dropped"), ("logprobs", "dropped")}),
    (CLAUDE, {"n": 1, "logprobs": False, "presence_penalty": 0.0, "logit_bias": {}, "metadata": {}}, {}, set()),
    (CLAUDE, {"user": "u"}, {}, {("user", "dropped")}),
    (CLAUDE, {"temperature": 1.5}, {"inferenceConfig": {"temperature": 1}}, {("temperature", "changed")}),
    (CLAUDE, {"stop": ("", "x")}, {"inferenceConfig": {"stopSequences": ["x"]}}, {("stop", "dropped")}),
    (CLAUDE, {"max_tokens": 5, "stream": True, "include_usage": True}, {"inferenceConfig": {"maxTokens": 5}}, set()),
    (CLAUDE, {"service_tier": "auto"}, {}, set()),
    (CLAUDE, {"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}, set()),
    (CLAUDE, {"service_tier": "scale"}, {}, {("service_tier", "dropped")}),
    (CLAUDE, {"metadata": {"a": "b"}}, {"requestMetadata": {"a": "b"}}, set()),
    (CLAUDE, {"metadata": {"a": 1}}, {}, {("metadata", "dropped")}),
    (CLAUDE, {"extra": {"openai_chat": {"store": True, "_mark": 1}}}, {}, {("store", "dropped")}),
    (
        CLAUDE,
        {"extra": {"openai_chat": {"performanceConfig": {"latency": "optimized"}}}},
        {"performanceConfig": {"latency": "optimized"}},
        set(),
    ),
    (
        CLAUDE,
        {"top_k": 4, "extra": {"bedrock_converse": {"additionalModelRequestFields": {"top_k": 5, "x": 1}}}},
        extra(top_k=5, x=1),
        set(),
    ),
]


@pytest.mark.parametrize(("model", "fields", "expected", "lost"), PARAMETERS)
def test_parameters(model: str, fields: dict[str, Any], expected: dict[str, Any], lost: set[tuple[str, str]]):
    body, warnings = encoded(model, **fields)
    assert (rest(body), warnings) == (expected, lost)


# -------------------------------------------------------------------------------------------------------------- reasoning
def effort(word: str) -> dict[str, Any]:
    return {"reasoning": Reasoning(effort=word)}


REASONING = [
    (CLAUDE, effort("low"), extra(thinking={"type": "enabled", "budget_tokens": 1024}), {("reasoning.effort", "emulated")}),
    (CLAUDE, effort("none"), extra(thinking={"type": "disabled"}), set()),
    (
        CLAUDE,
        {**effort("low"), "temperature": 0.5, "top_k": 3},
        extra(thinking={"type": "enabled", "budget_tokens": 1024}),
        {("reasoning.effort", "emulated"), ("temperature", "dropped"), ("top_k", "dropped")},
    ),
    (
        CLAUDE,
        {"reasoning": Reasoning(enabled=True, budget_tokens=4000), "max_tokens": 100},
        {"inferenceConfig": {"maxTokens": 4100}, **extra(thinking={"type": "enabled", "budget_tokens": 4000})},
        {("max_tokens", "changed")},
    ),
    (
        CLAUDE,
        {"reasoning": Reasoning(effort="high", extra={"anthropic_messages": {"_effort": True}})},
        {"outputConfig": {"effort": "high"}},
        set(),
    ),
    (
        CLAUDE,
        {"reasoning": Reasoning(extra={"anthropic_messages": {"_thinking": {"type": "adaptive", "display": "summarized"}}})},
        extra(thinking={"type": "adaptive", "display": "summarized"}),
        set(),
    ),
    (NOVA_2, effort("medium"), extra(reasoningConfig={"type": "enabled", "maxReasoningEffort": "medium"}), set()),
    (NOVA_2, effort("none"), extra(reasoningConfig={"type": "disabled"}), set()),
    (
        NOVA_2,
        {**effort("max"), "max_tokens": 9, "temperature": 0.1},
        extra(reasoningConfig={"type": "enabled", "maxReasoningEffort": "high"}),
        {("reasoning.effort", "changed"), ("max_tokens", "dropped"), ("temperature", "dropped")},
    ),
    (
        NOVA_2,
        {"reasoning": Reasoning(enabled=True, budget_tokens=5000), "max_tokens": 9},
        {"inferenceConfig": {"maxTokens": 9}, **extra(reasoningConfig={"type": "enabled", "maxReasoningEffort": "medium"})},
        {("reasoning.budget_tokens", "emulated")},
    ),
    (NOVA, effort("low"), {}, {("reasoning", "dropped")}),
    (NOVA, effort("none"), {}, set()),
    (GPT, effort("high"), extra(reasoning_effort="high"), set()),
    (GPT, effort("none"), {}, {("reasoning", "dropped")}),
    (GPT, effort("enormous"), {}, {("reasoning.effort", "dropped")}),
    (QWEN, {"reasoning": Reasoning(enabled=True)}, extra(reasoning_config="medium"), {("reasoning.enabled", "emulated")}),
    (PROFILE, effort("high"), {}, {("reasoning", "dropped")}),
]


@pytest.mark.parametrize(("model", "fields", "expected", "lost"), REASONING)
def test_reasoning(model: str, fields: dict[str, Any], expected: dict[str, Any], lost: set[tuple[str, str]]):
    body, warnings = encoded(model, **fields)
    assert (rest(body), warnings) == (expected, lost)


# -------------------------------------------------------------------------------------------------------------- structure
SCHEMA_TEXT = json.dumps(SCHEMA, separators=(",", ":"))
NATIVE = {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": SCHEMA_TEXT}}}}}
ALWAYS_EMULATED = {("response_format", "emulated")}
STRUCTURED = [
    (CLAUDE, {"response_format": IN_JSON}, NATIVE, set()),
    (GPT, {"response_format": IN_JSON}, NATIVE, set()),
    (QWEN, {"response_format": ResponseFormat(kind="text")}, {}, set()),
    (
        CLAUDE,
        {"response_format": msgspec.structs.replace(IN_JSON, strict=False)},
        NATIVE,
        {("response_format.json_schema.strict", "changed")},
    ),
    (
        NOVA,
        {"response_format": IN_JSON},
        {"toolConfig": {"tools": [JSON_TOOL], "toolChoice": {"tool": {"name": "dragoman_json_answer"}}}},
        ALWAYS_EMULATED,
    ),
    (
        OLD_CLAUDE,
        {"response_format": IN_JSON, "tools": (LOOK,)},
        {"toolConfig": {"tools": [SPEC, JSON_TOOL], "toolChoice": {"any": {}}}},
        ALWAYS_EMULATED,
    ),
    (
        OLD_CLAUDE,
        {"response_format": IN_JSON, "reasoning": Reasoning(enabled=True, budget_tokens=2000)},
        {
            "toolConfig": {"tools": [JSON_TOOL], "toolChoice": {"auto": {}}},
            **extra(thinking={"type": "enabled", "budget_tokens": 2000}),
        },
        ALWAYS_EMULATED,
    ),
]


@pytest.mark.parametrize(("model", "fields", "expected", "lost"), STRUCTURED)
def test_structured_output(model: str, fields: dict[str, Any], expected: dict[str, Any], lost: set[tuple[str, str]]):
    body, warnings = encoded(model, **fields)
    assert (rest(body), warnings) == (expected, lost)


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (LLAMA, IN_JSON),
        (CLAUDE, ResponseFormat(kind="json_object")),
        (NOVA, ResponseFormat(kind="json_schema", schema={"type": "array", "items": {}})),
    ],
)
def test_a_model_that_can_only_be_told_is_told(model: str, wanted: ResponseFormat):
    body, warnings = encoded(model, (Message(role="system", parts=(TextPart(text="Be brief."),)), *HI), response_format=wanted)
    assert body["system"][0] == {"text": "Be brief."}
    assert body["system"][1]["text"].startswith("Answer with one JSON object")
    assert (json.dumps(wanted.schema, separators=(",", ":")) in body["system"][1]["text"]) == (wanted.schema is not None)
    assert warnings == ALWAYS_EMULATED


# ------------------------------------------------------------------------------------------------------------------ tools
TOOLS = [
    ({"tools": (LOOK,)}, {"tools": [SPEC]}, set()),
    ({"tools": (LOOK,), "tool_choice": ToolChoice(mode="auto")}, {"tools": [SPEC], "toolChoice": {"auto": {}}}, set()),
    ({"tools": (LOOK,), "tool_choice": ToolChoice(mode="required")}, {"tools": [SPEC], "toolChoice": {"any": {}}}, set()),
    (
        {"tools": (LOOK,), "tool_choice": ToolChoice(mode="named", name="look")},
        {"tools": [SPEC], "toolChoice": {"tool": {"name": "look"}}},
        set(),
    ),
    ({"tools": (LOOK,), "tool_choice": ToolChoice(mode="none")}, None, {("tool_choice", "emulated")}),
    ({"tool_choice": ToolChoice(mode="auto")}, None, set()),
    ({"messages": CALLED}, {"tools": [SPEC]}, {("tools", "emulated")}),
    (
        {"messages": CALLED, "tools": (LOOK,), "tool_choice": ToolChoice(mode="none")},
        {"tools": [SPEC]},
        {("tool_choice", "dropped")},
    ),
    ({"tools": (LOOK,), "parallel_tool_calls": False}, {"tools": [SPEC]}, {("parallel_tool_calls", "dropped")}),
    ({"tools": (LOOK,), "parallel_tool_calls": True}, {"tools": [SPEC]}, set()),
    ({"tools": (Tool(name="look"),)}, {"tools": [SPEC]}, set()),
    (
        {"tools": (Tool(name="look", parameters={"properties": {}}),)},
        {"tools": [SPEC]},
        {("tools[0].parameters.type", "changed")},
    ),
    ({"tools": (NativeTool(dialect="openai_chat", value={}),)}, None, {("tools[0]", "dropped")}),
]


@pytest.mark.parametrize(("fields", "expected", "lost"), TOOLS)
def test_tools(fields: dict[str, Any], expected: Any, lost: set[tuple[str, str]]):
    body, warnings = encoded(**fields)
    assert (body.get("toolConfig"), warnings) == (expected, lost)


# ---------------------------------------------------------------------------------------------------------------- content
def media(**fields: Any) -> MediaPart:
    return MediaPart(**fields)


def document(name: str, **source: Any) -> dict[str, Any]:
    return {"document": {"format": "pdf", "name": name, "source": source}}


AT = "messages[0].content[0]"
PARTS = [
    (
        media(kind="image", data="aQ==", media_type="image/jpg"),
        {"image": {"format": "jpeg", "source": {"bytes": "aQ=="}}},
        set(),
    ),
    (
        media(kind="image", data="aQ==", detail="low"),
        {"image": {"format": "png", "source": {"bytes": "aQ=="}}},
        {(f"{AT}.media_type", "changed"), (f"{AT}.detail", "dropped")},
    ),
    (media(kind="image", url="https://example.com/a.png"), None, {(AT, "dropped")}),
    (
        media(kind="image", url="s3://b/a.webp"),
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://b/a.webp"}}}},
        set(),
    ),
    (
        media(kind="audio", data="aQ==", media_type="audio/mpeg"),
        {"audio": {"format": "mp3", "source": {"bytes": "aQ=="}}},
        set(),
    ),
    (media(kind="audio", id="a", transcript="spoken"), {"text": "spoken"}, {(AT, "dropped")}),
    (media(kind="document", data="aQ==", media_type="application/pdf"), document("document-1", bytes="aQ=="), set()),
    (media(kind="document", data="aQ==", filename="My_plan: v2.final.pdf"), document("My_plan v2 final", bytes="aQ=="), set()),
    (
        media(kind="document", text="t", media_type="text/plain"),
        {"document": {"format": "txt", "name": "document-1", "source": {"text": "t"}}},
        set(),
    ),
    (media(kind="document", file_id="f"), None, {(AT, "dropped")}),
    (RefusalPart(text="No."), {"text": "No."}, {(AT, "changed")}),
    (OpaquePart(dialect="openai_chat", value={}), None, {(AT, "dropped")}),
    (
        TextPart(text="t", citations=(Citation(url="https://example.com"),), signature="s"),
        {"text": "t"},
        {(f"{AT}.citations", "dropped"), (f"{AT}.signature", "dropped")},
    ),
    (TextPart(text="t", extra={"openai_chat": {"x": 1}}), {"text": "t"}, {(f"{AT}.x", "dropped")}),
    (
        ToolCallPart(id="c", name="look", arguments="broken"),
        {"toolUse": {"toolUseId": "c", "name": "look", "input": {"_raw": "broken"}}},
        {(f"{AT}.arguments", "changed")},
    ),
    (
        ToolCallPart(id="c", name="look", arguments="text", kind="custom"),
        {"toolUse": {"toolUseId": "c", "name": "look", "input": {"input": "text"}}},
        {(f"{AT}.arguments", "changed")},
    ),
    (
        ToolCallPart(id="c", name="look", signature="s"),
        {"toolUse": {"toolUseId": "c", "name": "look", "input": {}}},
        {(f"{AT}.signature", "dropped")},
    ),
]


@pytest.mark.parametrize(("part", "expected", "lost"), PARTS)
def test_parts(part: Any, expected: Any, lost: set[tuple[str, str]]):
    role = "assistant" if isinstance(part, ToolCallPart | RefusalPart) else "user"
    body, warnings = encoded(messages=(Message(role=role, parts=(part, TextPart(text="."))),))
    said = body["messages"][0]["content"]
    assert said == ([expected] if expected else []) + [{"text": "."}]
    assert warnings - {("tools", "emulated")} == lost


SIGNED, UNSIGNED = ReasoningPart(text="Hm.", signature="c2ln"), ReasoningPart(text="Hm.")


@pytest.mark.parametrize(
    ("model", "part", "kept"),
    [
        (CLAUDE, SIGNED, True),
        (CLAUDE, ReasoningPart(redacted="aGlk"), True),
        (CLAUDE, UNSIGNED, False),
        (GPT, SIGNED, False),
        (NOVA_2, UNSIGNED, False),
        (PROFILE, SIGNED, True),
    ],
)
def test_thinking_goes_back_to_those_who_sign_only(model: str, part: ReasoningPart, kept: bool):
    body, warnings = encoded(model, (*HI, Message(role="assistant", parts=(part, TextPart(text="So.")))))
    assert ("reasoningContent" in body["messages"][1]["content"][0]) == kept
    assert warnings == (set() if kept else {("messages[1].content[0]", "dropped")})


def test_a_conversation_is_told_in_turns_and_results_come_first():
    messages = (
        *CALLED[:2],
        Message(role="user", parts=(TextPart(text="there"), ToolResultPart(tool_call_id="c"))),
        user("more"),
        Message(role="developer", parts=(TextPart(text="Late."),)),
        Message(role="user", name="Ann", parts=()),
    )
    body, warnings = encoded(messages=messages, tools=(LOOK,))
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "c", "content": []}},
        {"text": "there"},
        {"text": "more"},
    ]
    assert body["system"] == [{"text": "Late."}]
    assert warnings == {("messages[2]", "changed"), ("messages[4].role", "changed"), ("messages[5].name", "dropped")}


def test_a_system_prompt_is_text():
    system = Message(role="system", parts=(TextPart(text="s"), media(kind="image", data="aQ==", media_type="image/png")))
    body, warnings = encoded(messages=(system, *HI))
    assert body["system"] == [{"text": "s"}]
    assert warnings == {("messages[0].content", "dropped")}


def test_ids_of_other_providers_are_made_to_fit_and_still_agree():
    strange = ["call/1", "call 1", "x" * 80, "x" * 79 + "y"]
    calls = Message(role="assistant", parts=tuple(ToolCallPart(id=name, name="look") for name in strange))
    results = Message(role="tool", parts=tuple(ToolResultPart(tool_call_id=name) for name in strange))
    body, _ = encoded(messages=(*HI, calls, results), tools=(LOOK,))
    called = [block["toolUse"]["toolUseId"] for block in body["messages"][1]["content"]]
    assert called == [block["toolResult"]["toolUseId"] for block in body["messages"][2]["content"]]
    assert len(set(called)) == 4
    assert all(len(name) <= 64 for name in called)


# --------------------------------------------------------------------------------------------------------------- property
@cache
def aws() -> Any:
    """What checks a body against AWS's description of Converse."""
    loaders, model = pytest.importorskip("botocore.loaders"), pytest.importorskip("botocore.model")
    validate = pytest.importorskip("botocore.validate")
    service = model.ServiceModel(loaders.Loader().load_service_model("bedrock-runtime", "service-2"))
    shape = service.operation_model("Converse").input_shape
    return lambda body: validate.ParamValidator().validate(body, shape)


@settings(max_examples=60, deadline=None)
@given(chat_requests())
def test_every_body_is_one_that_aws_describes(request: ChatRequest):
    for model in (CLAUDE, NOVA_2, LLAMA):
        body, warnings, _ = DIALECT.encode_request(msgspec.structs.replace(request, model=model))
        report = aws()({"modelId": model, **json.loads(json.dumps(body))})
        assert not report.has_errors(), report.generate_report()
        assert all(warning.field and warning.message for warning in warnings)
        roles = [turn["role"] for turn in body["messages"]]
        assert all(one != other for one, other in pairwise(roles))


# ------------------------------------------------------------------------------------------------------- invoke, embeddings
def test_invoke_takes_the_envelope_off_and_says_what_it_cannot():
    request = ChatRequest(
        model=CLAUDE,
        messages=HI,
        stream=True,
        service_tier="auto",
        extra={"anthropic_messages": {"anthropic_beta": ["context-1m-2025-08-07"]}},
    )
    body, warnings, _ = registry.get("anthropic_bedrock").encode_request(request)
    assert body == {
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["context-1m-2025-08-07"],
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    assert [warning.field for warning in warnings] == ["service_tier"]


EMBEDDINGS = registry.get("bedrock_embeddings")
TITAN, TITAN_1 = "amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v1"
NOVA_VECTORS = {
    "taskType": "SINGLE_EMBEDDING",
    "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX", "text": {"truncationMode": "NONE", "value": "a"}},
}
VECTORS = [
    (TITAN, {"dimensions": 256}, {"inputText": "a", "dimensions": 256}, []),
    (TITAN, {"extra": {"openai_embeddings": {"normalize": False, "x": 1}}}, {"inputText": "a", "normalize": False}, ["x"]),
    (TITAN_1, {"dimensions": 256, "user": "u"}, {"inputText": "a"}, ["dimensions", "user"]),
    ("amazon.nova-2-multimodal-embeddings-v1:0", {}, NOVA_VECTORS, []),
    (
        "us.cohere.embed-v4:0",
        {"dimensions": 512},
        {"texts": ["a"], "input_type": "search_document", "output_dimension": 512},
        ["input_type"],
    ),
    (
        "cohere.embed-english-v3",
        {"dimensions": 512},
        {"texts": ["a"], "input_type": "search_document"},
        ["input_type", "dimensions"],
    ),
    (
        "cohere.embed-english-v3",
        {"extra": {"bedrock_embeddings": {"input_type": "classification"}}},
        {"texts": ["a"], "input_type": "classification"},
        [],
    ),
]


@pytest.mark.parametrize(("model", "fields", "expected", "lost"), VECTORS)
def test_embeddings(model: str, fields: dict[str, Any], expected: dict[str, Any], lost: list[str]):
    body, warnings, _ = EMBEDDINGS.encode_request(EmbeddingRequest(model=model, input=("a",), **fields))
    assert (body, [warning.field for warning in warnings]) == (expected, lost)


@pytest.mark.parametrize(
    ("model", "given_", "message"),
    [
        (TITAN, ("a", "b"), "input: amazon.titan-embed-text-v2:0 embeds one text a request, found 2: send them one by one"),
        (TITAN, ((1, 2),), "input: models on Bedrock take texts, no token lists"),
        (CLAUDE, ("a",), f"model: '{CLAUDE}' is no model of titan-embed"),
    ],
)
def test_what_cannot_be_embedded_is_refused(model: str, given_: Any, message: str):
    with pytest.raises(BadRequestError, match=message):
        EMBEDDINGS.encode_request(EmbeddingRequest(model=model, input=given_))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"embedding": "x"}', b'{"embeddings": {"int8": [[1]]}}', b'{"embeddings": [["x"]]}']
)
def test_vectors_that_make_no_sense_are_an_error(body: bytes):
    with pytest.raises(ResponseDecodeError, match="the answer holds no vectors"):
        EMBEDDINGS.decode_response(body)


def test_vectors_of_cohere_3_are_a_list():
    assert EMBEDDINGS.decode_response(b'{"embeddings": [[1, 2.5]], "id": "e"}').embeddings[0].vector == (1.0, 2.5)
