"""ChatRequest -> the body of Converse and ConverseStream. What the API cannot say is left out, and becomes a Warning.

System messages at the front become `system`; consecutive messages of one side become one, as the API wants them to alternate.
The model is in the path and streaming is another path, so neither is in the body. Parameters that only a family of models
takes go into additionalModelRequestFields (`models`, `reasoning`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dragoman.core.chat import ChatRequest, Message, NativeTool, Tool, ToolCallPart, ToolResultPart
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.bedrock_converse.common import NAME, NATIVE_FIELDS, Body, Losses, merged, own, taken
from dragoman.dialects.bedrock_converse.models import Family, family_of
from dragoman.dialects.bedrock_converse.reasoning import Reasoned, encode_reasoning
from dragoman.dialects.bedrock_converse.structured import Structure, encode_format
from dragoman.dialects.bedrock_converse.write_blocks import BlockWriter, cache_point

_UNSAYABLE: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("n", (None, 1)),
    ("seed", (None,)),
    ("frequency_penalty", (None, 0)),
    ("presence_penalty", (None, 0)),
    ("top_k", (None,)),
    ("logit_bias", (None, {})),
    ("logprobs", (None, False)),
    ("top_logprobs", (None, 0)),
    ("user", (None,)),
)
"""Fields that Converse has no parameter for, with the values that ask for nothing. Some families take some of them."""

_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_CHOICES = {"auto": "auto", "required": "any"}
_SYSTEM_BLOCKS = frozenset({"text", "cachePoint", "guardContent"})
_EMPTY_SCHEMA: Body = {"type": "object", "properties": {}}


def encode_request(request: ChatRequest) -> EncodedRequest:
    losses, family = Losses(), family_of(request.model)
    losses.foreign(request.extra, "", NATIVE_FIELDS)
    reasoned = encode_reasoning(request, family, losses)
    structure = encode_format(request, family, losses, thinks=reasoned.thinks)
    body = _conversation(request.messages, BlockWriter(losses, replays=family.replays), structure)
    body |= _inference(request, reasoned, losses)
    body |= _tools(request, structure, losses)
    additional = merged(reasoned.fields, _family_fields(request, family, reasoned, losses))
    if additional:
        body["additionalModelRequestFields"] = additional
    body |= _output(structure, reasoned)
    body |= _service(request, losses)
    return EncodedRequest(merged(body, taken(request.extra, NATIVE_FIELDS)), tuple(losses.warnings))


# --------------------------------------------------------------------------------------------------------- conversation
def _conversation(messages: Iterable[Message], writer: BlockWriter, structure: Structure) -> Body:
    system: list[Body] = []
    turns: list[Body] = []
    for place, message in enumerate(messages):
        path = f"messages[{place}]"
        writer.losses.foreign(message.extra, path)
        if message.name is not None:
            writer.losses.drop(f"{path}.name", "messages have no name on Bedrock; say in the text who speaks")
        blocks = writer.blocks(_results_first(message, path, writer.losses), f"{path}.content")
        if message.role in ("system", "developer"):
            if turns:
                writer.losses.change(f"{path}.role", "a system message inside the conversation was moved to the system prompt")
            system += _system(blocks, path, writer.losses)
        elif blocks:
            _say(turns, "assistant" if message.role == "assistant" else "user", blocks)
    if structure.instruction is not None:
        system.append({"text": structure.instruction})
    return {"messages": turns} | ({"system": system} if system else {})


def _results_first(message: Message, path: str, losses: Losses) -> Iterable[Any]:
    """Models want the results of tools before anything else that the user says in the same turn."""
    if message.role == "assistant":
        return message.parts
    ordered = sorted(message.parts, key=lambda part: not isinstance(part, ToolResultPart))
    if tuple(ordered) != message.parts:
        losses.change(path, "tool results were moved to the front of the user's turn, where models want them")
    return ordered


def _system(blocks: list[Body], path: str, losses: Losses) -> list[Body]:
    sayable = [block for block in blocks if block.keys() <= _SYSTEM_BLOCKS]
    if len(sayable) < len(blocks):
        losses.drop(f"{path}.content", "a system prompt on Bedrock is text only; send the rest in a user message")
    return sayable


def _say(turns: list[Body], role: str, blocks: list[Body]) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


# ----------------------------------------------------------------------------------------------------------- parameters
def _inference(request: ChatRequest, reasoned: Reasoned, losses: Losses) -> Body:
    for name in reasoned.yielding:
        if getattr(request, name) is not None:
            losses.drop(name, "this model does not take it while it thinks like that; ask for less reasoning to keep it")
    asked = {"maxTokens": reasoned.max_tokens, "temperature": request.temperature, "topP": request.top_p}
    names = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p"}
    config: Body = {key: value for key, value in asked.items() if value is not None and names[key] not in reasoned.yielding}
    if config.get("temperature", 0) > 1:
        losses.change("temperature", f"Bedrock takes 0 to 1; {config['temperature']} was lowered to 1")
        config["temperature"] = 1
    stop = [text for text in request.stop if text]
    if len(stop) != len(request.stop):
        losses.drop("stop", "Bedrock refuses empty stop sequences")
    if stop:
        config["stopSequences"] = stop
    return {"inferenceConfig": config} if config else {}


def _family_fields(request: ChatRequest, family: Family, reasoned: Reasoned, losses: Losses) -> Body:
    """Parameters that Converse does not know: to the models that take them, where they want them."""
    fields: Body = {}
    for name, silent in _UNSAYABLE:
        value = getattr(request, name)
        if value in silent or name in reasoned.yielding:
            continue
        path = family.fields.get(name)
        if path is None:
            losses.drop(name, f"{request.model} on Bedrock has no such parameter; leave it out")
            continue
        for key in reversed(path):
            value = {key: value}
        fields = merged(fields, value)
    return fields


def _output(structure: Structure, reasoned: Reasoned) -> Body:
    config = {"textFormat": structure.text_format, "effort": reasoned.effort}
    said = {key: value for key, value in config.items() if value is not None}
    return {"outputConfig": said} if said else {}


def _service(request: ChatRequest, losses: Losses) -> Body:
    body: Body = {}
    if request.metadata:
        if all(isinstance(value, str) for value in request.metadata.values()):
            body["requestMetadata"] = request.metadata
        else:
            losses.drop("metadata", "Bedrock's request metadata are texts by name; make every value a string")
    if request.service_tier in _TIERS:
        body["serviceTier"] = {"type": request.service_tier}
    elif request.service_tier not in (None, "auto"):
        losses.drop("service_tier", f"Bedrock has no tier {request.service_tier!r}; it knows {', '.join(sorted(_TIERS))}")
    return body


# ---------------------------------------------------------------------------------------------------------------- tools
def _tools(request: ChatRequest, structure: Structure, losses: Losses) -> Body:
    written = [block for place, tool in enumerate(request.tools) for block in _tool(tool, f"tools[{place}]", losses)]
    called = _called(request.messages)
    choice = _choice(request, losses, offered=bool(written))
    if request.tool_choice is not None and request.tool_choice.mode == "none":
        written = _unused(written, losses, called=bool(called))
    if structure.tool is not None:
        written, choice = [*written, structure.tool], structure.choice
    elif not written and called:
        losses.emulate("tools", "Bedrock wants the tools of a conversation that called some; they were sent by name only")
        written = [{"toolSpec": {"name": name, "inputSchema": {"json": _EMPTY_SCHEMA}}} for name in called]
    if request.parallel_tool_calls is False and written:
        losses.drop(
            "parallel_tool_calls", "Converse cannot forbid parallel tool calls; take the first, or say it in the prompt"
        )
    if not written:
        return {}
    return {"toolConfig": {"tools": written} | ({"toolChoice": choice} if choice else {})}


def _unused(written: list[Body], losses: Losses, *, called: bool) -> list[Body]:
    """Converse cannot forbid to call tools, but it need not offer them, unless the conversation called some already."""
    if called and written:
        losses.drop("tool_choice", "Converse cannot forbid tool calls in a conversation that has some; the tools were offered")
        return written
    if written:
        losses.emulate("tool_choice", "Converse cannot forbid tool calls; the tools were left out instead")
    return []


def _tool(tool: Tool | NativeTool, path: str, losses: Losses) -> list[Body]:
    if isinstance(tool, NativeTool):
        if tool.dialect == NAME:
            return [tool.value]
        losses.drop(path, f"only {tool.dialect} knows this tool; give models on Bedrock a function or a systemTool")
        return []
    losses.foreign(tool.extra, path)
    schema = _EMPTY_SCHEMA if tool.parameters is None else tool.parameters
    if "type" not in schema:
        losses.change(f"{path}.parameters.type", "Bedrock wants a schema that says object; it was added")
        schema = {"type": "object", **schema}
    spec: Body = {**own(tool.extra), "name": tool.name, "inputSchema": {"json": schema}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return [{"toolSpec": spec}, *([cache_point(tool.cache_control)] if tool.cache_control else [])]


def _choice(request: ChatRequest, losses: Losses, *, offered: bool) -> Body | None:
    chosen = request.tool_choice
    if chosen is None or chosen.mode == "none" or not offered:
        return None
    losses.foreign(chosen.extra, "tool_choice")
    return {"tool": {"name": chosen.name}} if chosen.mode == "named" else {_CHOICES[chosen.mode]: {}}


def _called(messages: Iterable[Message]) -> list[str]:
    """The names of the tools that a conversation called, each once."""
    parts = (part for message in messages for part in message.parts)
    return list(dict.fromkeys(part.name for part in parts if isinstance(part, ToolCallPart)))
