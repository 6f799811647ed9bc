"""ChatRequest -> the body for a provider. What the API cannot say is left out, and becomes a Warning.

System messages at the front become `system`; consecutive messages of one side become one, as the API does itself. No
Warning comes for what changes nothing: a choice count of one, an empty text, the name (a mere label) of a JSON schema.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import ChatRequest, Message, NativeTool, ResponseFormat, Tool
from dragoman.dialects.anthropic_messages.common import NAME, REQUEST_TIERS_BACK, Losses, mark, own
from dragoman.dialects.anthropic_messages.thinking import encode_thinking
from dragoman.dialects.anthropic_messages.write_blocks import BlockWriter
from dragoman.dialects.base import EncodedRequest

Body = dict[str, Any]

_UNSAYABLE: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("n", (None, 1)),
    ("seed", (None,)),
    ("frequency_penalty", (None, 0)),
    ("presence_penalty", (None, 0)),
    ("logit_bias", (None, {})),
    ("logprobs", (None, False)),
    ("top_logprobs", (None, 0)),
    ("metadata", (None, {})),
)
"""Fields without a counterpart, with the values that ask for nothing."""

_CHOICES = {"auto": "auto", "required": "any", "none": "none", "named": "tool"}


def encode_request(request: ChatRequest) -> EncodedRequest:
    losses = Losses()
    for field, silent in _UNSAYABLE:
        if getattr(request, field) not in silent:
            losses.drop(field, "the Anthropic Messages API has no such parameter; leave it out for Anthropic models")
    losses.foreign(request.extra, "")
    thinking = encode_thinking(request, losses)
    body: Body = {"model": request.model, "max_tokens": thinking.max_tokens}
    body |= _conversation(request.messages, losses)
    body |= _tools(request, losses)
    body |= _sampling(request, losses, derived=thinking.derived)
    if thinking.field is not None:
        body["thinking"] = thinking.field
    body |= _output(request, thinking.effort, losses)
    body |= _service(request, losses)
    if request.stream:
        body["stream"] = True
    return EncodedRequest(_with_own(body, own(request.extra)), tuple(losses.warnings))


def _with_own(body: Body, fields: Body) -> Body:
    """The dialect's own fields go in where the vocabulary said nothing; objects that were read in part are made whole."""
    for key, value in fields.items():
        said = body.get(key)
        body[key] = {**value, **said} if isinstance(value, dict) and isinstance(said, dict) else body.get(key, value)
    return body


def _conversation(messages: tuple[Message, ...], losses: Losses) -> Body:
    writer = BlockWriter(losses, reply=False)
    system: list[Body] = []
    turns: list[Body] = []
    for place, message in enumerate(messages):
        path = f"messages[{place}]"
        native = own(message.extra)
        losses.foreign(message.extra, path)
        if message.name is not None:
            losses.drop(f"{path}.name", "Anthropic messages have no name; say in the text who speaks")
        blocks = writer.blocks(message.parts, f"{path}.content")
        if message.role in ("system", "developer") and mark(message.extra, "_role") != "system":
            if turns:
                losses.change(f"{path}.role", "a system message inside the conversation was moved to the system prompt")
            system.extend(blocks)
        elif blocks or not message.parts:
            _say(turns, message, blocks, native)
    for turn in turns:
        if turn["role"] == "user":
            turn["content"] = _results_first(turn["content"], losses)
    return ({"system": system} if system else {}) | {"messages": turns}


def _say(turns: list[Body], message: Message, blocks: list[Body], native: Body) -> None:
    role = message.role if message.role in ("assistant", "system") else "user"
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"].extend(blocks)
    else:
        turns.append({**native, "role": role, "content": blocks})


def _results_first(blocks: list[Body], losses: Losses) -> list[Body]:
    """The API wants the results of tools before anything else that the user says in the same turn."""
    ordered = sorted(blocks, key=lambda block: block.get("type") != "tool_result")
    if ordered != blocks:
        losses.change("messages", "tool results were moved to the front of the user's turn, where Anthropic wants them")
    return ordered


def _tools(request: ChatRequest, losses: Losses) -> Body:
    body: Body = {}
    written = [_tool(tool, f"tools[{place}]", losses) for place, tool in enumerate(request.tools)]
    if tools := [tool for tool in written if tool is not None]:
        body["tools"] = tools
    choice: Body = {}
    if request.tool_choice is not None:
        losses.foreign(request.tool_choice.extra, "tool_choice")
        choice = {**own(request.tool_choice.extra), "type": _CHOICES[request.tool_choice.mode]}
        if request.tool_choice.name is not None:
            choice["name"] = request.tool_choice.name
    if request.parallel_tool_calls is not None:
        if (tools or choice) and choice.get("type") != "none":
            choice = {"type": "auto", **choice, "disable_parallel_tool_use": not request.parallel_tool_calls}
        else:
            losses.drop("parallel_tool_calls", "no tool can be called, so nothing is said about parallel calls")
    return body | ({"tool_choice": choice} if choice else {})


def _tool(tool: Tool | NativeTool, path: str, losses: Losses) -> Body | None:
    if isinstance(tool, NativeTool):
        if tool.dialect == NAME:
            return tool.value
        losses.drop(path, f"only {tool.dialect} knows this tool; give Anthropic models a function or their own tools")
        return None
    losses.foreign(tool.extra, path)
    schema = {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters
    if "type" not in schema:
        losses.change(f"{path}.parameters.type", "Anthropic wants a schema that says object; it was added")
        schema = {"type": "object", **schema}
    body = {**own(tool.extra), "name": tool.name, "input_schema": schema}
    rest = {"description": tool.description, "strict": tool.strict, "cache_control": tool.cache_control}
    return body | {key: value for key, value in rest.items() if value is not None}


def _sampling(request: ChatRequest, losses: Losses, *, derived: bool) -> Body:
    """Under thinking the API refuses other temperatures than 1; where the thinking was our reading of `effort`, they yield."""
    asked = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    body = {key: value for key, value in asked.items() if value is not None}
    if body.get("temperature", 0) > 1:
        losses.change("temperature", f"Anthropic takes 0 to 1; {body['temperature']} was lowered to 1")
        body["temperature"] = 1
    if derived:
        for key in [key for key in body if (key, body[key]) != ("temperature", 1)]:
            del body[key]
            losses.drop(key, "Anthropic takes no sampling parameters while it thinks; set no reasoning effort to keep it")
    stop = [text for text in request.stop if text.strip()]
    if len(stop) != len(request.stop):
        losses.drop("stop", "Anthropic refuses stop sequences that are only white space")
    return body | ({"stop_sequences": stop} if stop else {})


def _output(request: ChatRequest, effort: str | None, losses: Losses) -> Body:
    config: Body = {} if effort is None else {"effort": effort}
    if (form := _format(request.response_format, losses)) is not None:
        config["format"] = form
    return {"output_config": config} if config else {}


def _format(wanted: ResponseFormat | None, losses: Losses) -> Body | None:
    if wanted is None or wanted.kind == "text":
        return None
    losses.foreign(wanted.extra, "response_format")
    if wanted.kind == "json_object" or wanted.schema is None:
        losses.drop("response_format", "Anthropic has no plain JSON mode; give a JSON schema, or ask for JSON in the prompt")
        return None
    if wanted.description is not None:
        losses.drop("response_format.json_schema.description", "put the description into the schema itself")
    if wanted.strict is False:
        losses.change("response_format.json_schema.strict", "Anthropic always holds the answer to the schema")
    return {**own(wanted.extra), "type": "json_schema", "schema": wanted.schema}


def _service(request: ChatRequest, losses: Losses) -> Body:
    body: Body = {}
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    if request.service_tier is not None:
        tier = REQUEST_TIERS_BACK.get(request.service_tier)
        if tier is None:
            losses.drop("service_tier", f"Anthropic has no tier like {request.service_tier!r}; it knows auto and default")
        else:
            body["service_tier"] = tier
    return body
