"""A reader of Converse requests, for tests: the package itself only writes them. And event streams from plain objects.

`read_request` is written from AWS's reference and not from the writer it judges; what the vocabulary has no word for is kept
whole (`OpaquePart`, `NativeTool`, `extra`).
"""

from __future__ import annotations

import json
from typing import Any

from dragoman.core.aws_eventstream import Header, Message, encode
from dragoman.core.chat import (
    ChatRequest,
    Citation,
    MediaPart,
    NativeTool,
    OpaquePart,
    Part,
    Reasoning,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from dragoman.core.chat import Message as ChatMessage

NAME = "bedrock_converse"
MIME = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "mp4": "video/mp4",
}


def frames(*events: tuple[str, Any], kind: str = "event") -> bytes:
    """An event stream: (event type, payload) each."""
    return b"".join(
        encode(
            Message(
                json.dumps(payload).encode(),
                (Header(f":{kind}-type", name), Header(":content-type", "application/json"), Header(":message-type", kind)),
            )
        )
        for name, payload in events
    )


def read_request(model: str, body: dict[str, Any]) -> ChatRequest:
    """The meaning of a Converse request."""
    body = dict(body)
    config = dict(body.pop("inferenceConfig", {}))
    additional = dict(body.pop("additionalModelRequestFields", {}))
    tools = body.pop("toolConfig", None) or {}
    tier = body.pop("serviceTier", None)
    system = ChatMessage(role="system", parts=read_parts(body.pop("system", None) or []))
    turns = tuple(ChatMessage(role=turn["role"], parts=read_parts(turn["content"])) for turn in body.pop("messages"))
    top_k = additional.pop("top_k", None)
    if set(additional.get("inferenceConfig", {})) == {"topK"}:
        top_k = additional.pop("inferenceConfig")["topK"]
    return ChatRequest(
        model=model,
        messages=((system,) if system.parts else ()) + turns,
        tools=read_tools(tools.get("tools", [])),
        tool_choice=read_choice(tools.get("toolChoice")),
        max_tokens=config.pop("maxTokens", None),
        temperature=config.pop("temperature", None),
        top_p=config.pop("topP", None),
        stop=tuple(config.pop("stopSequences", ())),
        top_k=top_k,
        reasoning=read_reasoning(additional),
        response_format=read_format(body.pop("outputConfig", None)),
        service_tier=tier and tier["type"],
        extra={NAME: {**body, **({"additionalModelRequestFields": additional} if additional else {})}},
    )


def read_reasoning(additional: dict[str, Any]) -> Reasoning | None:
    """Takes what it reads out of `additional`."""
    thinking = additional.get("thinking")
    if thinking and set(thinking) == {"type", "budget_tokens"}:
        del additional["thinking"]
        return Reasoning(enabled=True, budget_tokens=thinking["budget_tokens"])
    nova = additional.pop("reasoningConfig", None)
    word = nova["maxReasoningEffort"] if nova else additional.pop("reasoning_effort", None)
    if word is None and isinstance(additional.get("reasoning_config"), str):
        word = additional.pop("reasoning_config")
    return word and Reasoning(effort=word)


def read_format(config: dict[str, Any] | None) -> ResponseFormat | None:
    if config is None:
        return None
    schema = config["textFormat"]["structure"]["jsonSchema"]
    return ResponseFormat(
        kind="json_schema",
        schema=json.loads(schema["schema"]),
        name=schema.get("name"),
        description=schema.get("description"),
    )


def read_tools(tools: list[dict[str, Any]]) -> tuple[Any, ...]:
    found: list[Any] = []
    for tool in tools:
        spec = tool.get("toolSpec")
        if spec is None:
            found.append(NativeTool(dialect=NAME, value=tool))
        else:
            schema = spec["inputSchema"]["json"]
            found.append(
                Tool(name=spec["name"], description=spec.get("description"), parameters=schema, strict=spec.get("strict"))
            )
    return tuple(found)


def read_choice(choice: dict[str, Any] | None) -> ToolChoice | None:
    if choice is None:
        return None
    if "tool" in choice:
        return ToolChoice(mode="named", name=choice["tool"]["name"])
    return ToolChoice(mode="required" if "any" in choice else "auto")


def read_parts(blocks: list[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple(read_part(block) for block in blocks)


def read_part(block: dict[str, Any]) -> Part:
    ((kind, value),) = block.items()
    if kind == "text":
        return TextPart(text=value)
    if kind == "reasoningContent":
        said = value["reasoningText"]
        return ReasoningPart(text=said["text"], signature=said["signature"])
    if kind == "toolUse" and value.get("type") != "server_tool_use":
        return ToolCallPart(id=value["toolUseId"], name=value["name"], arguments=json.dumps(value["input"]))
    if kind == "toolResult" and "type" not in value:
        failed = {None: None, "error": True, "success": False}[value.get("status")]
        return ToolResultPart(tool_call_id=value["toolUseId"], parts=read_parts(value["content"]), is_error=failed)
    if kind == "citationsContent":
        cited = tuple(Citation(extra={NAME: native}) for native in value["citations"])
        return TextPart(text="".join(piece["text"] for piece in value["content"]), citations=cited)
    if kind in ("image", "document", "video"):
        return read_media(kind, value) or OpaquePart(dialect=NAME, value=block)
    return OpaquePart(dialect=NAME, value=block)


def read_media(kind: Any, value: dict[str, Any]) -> MediaPart | None:
    ((place, content),) = value["source"].items()
    sources = {"bytes": ("data", content), "text": ("text", content), "s3Location": ("url", None)}
    if place not in sources:
        return None
    field, said = sources[place]
    extra = {key: held for key, held in value.items() if key not in ("format", "name", "source")}
    return MediaPart(
        kind=kind,
        media_type=MIME.get(value["format"], value["format"]),
        filename=value["name"] + ".x" if "name" in value else None,
        extra={NAME: extra} if extra else {},
        **{field: content["uri"] if said is None else said},
    )
