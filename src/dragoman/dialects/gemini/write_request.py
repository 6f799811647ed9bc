"""ChatRequest -> the body for a provider. What the API cannot say is left out, and becomes a Warning.

System messages become `systemInstruction`; consecutive messages of one side become one, because all results of a turn's calls
must stand in one. The model stands in the path. No Warning comes for what changes nothing: an empty text, a schema's name.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import ChatRequest, Message, NativeTool, ResponseFormat, Role, Tool
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.gemini.common import NAME, TIERS_BACK, Losses, mark, own, said
from dragoman.dialects.gemini.fields import camel
from dragoman.dialects.gemini.read_config import SAID_HERE, SCHEMA
from dragoman.dialects.gemini.schema import accepted
from dragoman.dialects.gemini.thinking import takes_levels, thinking_config
from dragoman.dialects.gemini.write_parts import PartWriter

Body = dict[str, Any]

_UNSAYABLE: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("logit_bias", (None, {})),
    ("metadata", (None, {})),
    ("parallel_tool_calls", (None, True)),
    ("user", (None,)),
)
"""Fields without a counterpart, with the values that ask for nothing."""

_SAMPLING = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}

_NATIVE = frozenset({"safetySettings", "cachedContent", "labels", "modelArmorConfig"})
_NATIVE_CONFIG = frozenset({"responseModalities", "speechConfig", "mediaResolution", "imageConfig", "audioTimestamp"})
"""Fields of this API that clients of other dialects may set too, in either spelling."""

_SEARCH = "webSearchOptions"
"""OpenAI's wish for a search of the web, which is a tool here."""


def encode_request(request: ChatRequest) -> EncodedRequest:
    losses = Losses()
    for field, silent in _UNSAYABLE:
        if getattr(request, field) not in silent:
            losses.drop(field, "the Gemini API has no such parameter; leave it out for Gemini models")
    native, native_config = _native(request, losses)
    body = _conversation(request.messages, losses) | _tools(request, losses)
    if takes_levels(request.model) and not mark(request.extra, SAID_HERE):
        _vouch(body["contents"], losses)
    config = _config(request, losses)
    if config or native_config:
        body["generationConfig"] = config | native_config
    if request.service_tier not in (None, "auto"):
        body |= _tier(str(request.service_tier), losses)
    return EncodedRequest(_with_own(body, native | own(request.extra)), tuple(losses.warnings))


def _native(request: ChatRequest, losses: Losses) -> tuple[Body, Body]:
    """Fields for the body and for its config that came with another dialect; a Warning for each that is none of ours."""
    native: Body = {}
    config: Body = {}
    for dialect, fields in request.extra.items():
        for key, value in fields.items() if dialect != NAME else ():
            name = camel(key)
            if name in _NATIVE:
                native[name] = value
            elif name in _NATIVE_CONFIG:
                config[name] = value
            elif name == "modalities" and isinstance(value, list):
                config["responseModalities"] = [str(kind).upper() for kind in value]
            elif name != _SEARCH:
                losses.foreign({dialect: {key: value}}, "")
    return native, config


def _with_own(body: Body, fields: Body) -> Body:
    """The dialect's own fields go in where the vocabulary said nothing; objects that were read in part are made whole."""
    for key, value in fields.items():
        said_here = body.get(key)
        if isinstance(value, dict) and isinstance(said_here, dict):
            body[key] = {**value, **said_here}
        else:
            body.setdefault(key, value)
    return body


# ------------------------------------------------------------------------------------------------------------- conversation
def _conversation(messages: tuple[Message, ...], losses: Losses) -> Body:
    writer = PartWriter(losses, reply=False)
    system: list[Body] = []
    turns: list[tuple[Role, Body]] = []
    for place, message in enumerate(messages):
        path = f"messages[{place}]"
        losses.foreign(message.extra, path)
        if message.name is not None:
            losses.drop(f"{path}.name", "Gemini messages have no name; say in the text who speaks")
        parts = writer.parts(message.parts, f"{path}.content")
        if message.role in ("system", "developer"):
            if turns:
                losses.change(f"{path}.role", "a system message inside the conversation was moved to the system instruction")
            system.extend(parts)
        elif parts:
            _say(turns, message, parts)
    contents = [content for _, content in turns]
    if system and not contents:
        losses.change("messages", "Gemini wants something that a user says; the system message was sent as that")
        return {"contents": [{"role": "user", "parts": system}]}
    return {"contents": contents} | ({"systemInstruction": {"parts": system}} if system else {})


def _say(turns: list[tuple[Role, Body]], message: Message, parts: list[Body]) -> None:
    if turns and turns[-1][0] == message.role:
        turns[-1][1]["parts"].extend(parts)
    else:
        role = "model" if message.role == "assistant" else "user"
        turns.append((message.role, {**own(message.extra), "role": role, "parts": parts}))


_UNCHECKED = "skip_thought_signature_validator"
"""For calls that another model made, or whose signature got lost: https://ai.google.dev/gemini-api/docs/thought-signatures"""


def _vouch(contents: list[Body], losses: Losses) -> None:
    """Gemini 3 refuses a turn whose first call is not signed."""
    for content in contents:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and not any("thoughtSignature" in call for call in calls):
            calls[0]["thoughtSignature"] = _UNCHECKED
            losses.emulate("messages", "tool calls that Gemini did not sign were sent with its word for unchecked ones")


# -------------------------------------------------------------------------------------------------------------------- tools
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}


def _tools(request: ChatRequest, losses: Losses) -> Body:
    functions: list[Body] = []
    tools: list[Body] = []
    for place, tool in enumerate(request.tools):
        path = f"tools[{place}]"
        if isinstance(tool, Tool):
            functions.append(_function(tool, path, losses))
        elif tool.dialect == NAME:
            tools.append(tool.value)
        else:
            _foreign_tool(tool, path, losses)
    if functions:
        tools.insert(0, {"functionDeclarations": functions})
    tools += _search(request, losses)
    body: Body = {"tools": tools} if tools else {}
    choice = request.tool_choice
    if choice is not None:
        losses.foreign(choice.extra, "tool_choice")
        config = {**own(choice.extra), "mode": mark(choice.extra, "_mode") or _MODES[choice.mode]}
        if choice.name is not None:
            config["allowedFunctionNames"] = [choice.name]
        body["toolConfig"] = {"functionCallingConfig": config}
    return body


def _search(request: ChatRequest, losses: Losses) -> list[Body]:
    wishes = [value for fields in request.extra.values() for key, value in fields.items() if camel(key) == _SEARCH]
    if any(wishes):
        losses.drop("web_search_options", "Google's search takes no options; it was asked for without them")
    return [{"googleSearch": {}}] if wishes else []


def _foreign_tool(tool: NativeTool, path: str, losses: Losses) -> None:
    losses.drop(path, f"only {tool.dialect} knows this tool; give Gemini models a function or their own tools")


def _function(tool: Tool, path: str, losses: Losses) -> Body:
    losses.foreign(tool.extra, path)
    if tool.cache_control is not None:
        losses.drop(f"{path}.cache_control", "Gemini caches by itself, or by the name given in cachedContent")
    if tool.strict:
        losses.change(f"{path}.strict", "Gemini holds no single function to its schema; set toolConfig's mode to VALIDATED")
    body = {**own(tool.extra), "name": tool.name, **said({"description": tool.description})}
    return body | _schema_field(tool, path, losses)


def _schema_field(tool: Tool, path: str, losses: Losses) -> Body:
    """The schema as the client wrote it here, else as JSON Schema. One that allows nothing is left out: models refuse it."""
    as_written = mark(tool.extra, SCHEMA)
    if as_written is not None or not tool.parameters or _allows_nothing(tool.parameters):
        return as_written or {}
    place = f"{path}.parameters"
    schema = accepted(tool.parameters, lambda key: _beside_ref(losses, place, key))
    if "type" not in schema and "$ref" not in schema:
        losses.change(f"{place}.type", "Gemini wants a schema that says object; it was added")
        schema = {"type": "object", **schema}
    return {"parametersJsonSchema": schema}


def _allows_nothing(schema: Body) -> bool:
    said_more = {key for key, value in schema.items() if value and key not in ("type", "title", "description", "$schema")}
    return schema.get("type") == "object" and not said_more


def _beside_ref(losses: Losses, path: str, key: str) -> None:
    losses.change(f"{path}.{key}", "Gemini takes nothing beside $ref in a schema, so it was left out")


# ------------------------------------------------------------------------------------------------------------------- config
def _config(request: ChatRequest, losses: Losses) -> Body:
    config = {theirs: value for ours, theirs in _SAMPLING.items() if (value := getattr(request, ours)) is not None}
    if request.stop:
        config["stopSequences"] = list(request.stop)
    config |= _format(request.response_format, losses)
    if thinking := thinking_config(request.reasoning, request.model, losses):
        config["thinkingConfig"] = thinking
    return config


def _format(wanted: ResponseFormat | None, losses: Losses) -> Body:
    if wanted is None:
        return {}
    losses.foreign(wanted.extra, "response_format")
    if wanted.kind == "text":
        return {"responseMimeType": "text/plain"}
    body: Body = {**own(wanted.extra), "responseMimeType": "application/json"}
    if wanted.kind == "json_object" or wanted.schema is None:
        return body
    if wanted.description is not None:
        losses.drop("response_format.json_schema.description", "put the description into the schema itself")
    if wanted.strict is False:
        losses.change("response_format.json_schema.strict", "Gemini always holds the answer to the schema")
    as_written = mark(wanted.extra, SCHEMA)
    if as_written is not None:
        return {**body, **as_written}
    place = "response_format.json_schema.schema"
    return body | {"responseJsonSchema": accepted(wanted.schema, lambda key: _beside_ref(losses, place, key))}


def _tier(tier: str, losses: Losses) -> Body:
    if tier in TIERS_BACK:
        return {"serviceTier": TIERS_BACK[tier]}
    losses.drop("service_tier", f"Gemini has no tier like {tier!r}; it knows default, flex and priority")
    return {}
