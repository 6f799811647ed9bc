"""The built-in models: what they are called, what they can do, and how a request must be edited for them. Pure.

`local/smollm2-135m` chats (a toy of 135 million parameters that proves the pipes), `local/use-multilingual-v3` embeds, and
`local/<path>.gguf` chats with a model of the user's. Nothing here loads weights or starts anything: `dragoman.local` does.
The row `local` names `QUIRKS`; `transport.local` and `dragoman.local` read the names, the chat template and the defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, ConfigurationError, UnsupportedParamsError
from dragoman.core.json import kind
from dragoman.providers.base import Quirks

CHAT_MODEL = "smollm2-135m"
EMBEDDING_MODEL = "use-multilingual-v3"

ToolMode = Literal["auto", "required", "named"]


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a built-in model can do. `context_window` counts tokens of prompt and answer together; media: text only.

    `tools` are the kinds of tool choice that lead to a call. `structured_output`: json_schema and json_object, always valid.
    `vector_length` is the number of floats of an embedding.
    """

    operation: Literal["chat", "embedding"]
    context_window: int | None = None
    tools: frozenset[ToolMode] = frozenset()
    structured_output: bool = False
    logprobs: bool = False
    vector_length: int | None = None
    notes: tuple[str, ...] = ()


CAPABILITIES = {
    CHAT_MODEL: Capabilities(
        operation="chat",
        context_window=4096,
        tools=frozenset({"named", "required"}),
        structured_output=True,
        logprobs=True,
        notes=(
            "with one tool, or a named one, the arguments follow the tool's schema",
            "required among several tools gives a valid call, but which tool is called is a guess",
            "with tool_choice auto it answers in text and never calls",
            "n is at most 2",
        ),
    ),
    EMBEDDING_MODEL: Capabilities(operation="embedding", vector_length=512),
}

DEFAULTS: dict[str, Any] = {"temperature": 0.2, "repeat_penalty": 1.1}
JSON_DEFAULTS: dict[str, Any] = {"temperature": 0.0, "repeat_penalty": 1.0}
MAX_TOKENS = 256
"""For the built-in chat model, where the caller says nothing else. A model of the user's keeps its own defaults.

The penalty keeps so small a model from going round in circles, but in JSON it forbids the very words of the question."""


class LocalModel(Struct, frozen=True, kw_only=True):
    """One model to run: `name` as callers write it; `gguf` the path of a model of the user's, None for a built-in one."""

    name: str
    operation: Literal["chat", "embedding"] = "chat"
    gguf: str | None = None


def parse_model(name: str) -> LocalModel:
    """`smollm2-135m`, `use-multilingual-v3` or a path that ends in .gguf, with or without `local/` before it.

    Raises ConfigurationError that lists what there is.
    """
    bare = name.removeprefix("local/")
    known = CAPABILITIES.get(bare)
    if known is not None:
        return LocalModel(name=bare, operation=known.operation)
    if bare.lower().endswith(".gguf"):
        return LocalModel(name=bare, gguf=bare)
    names = ", ".join(f"local/{known}" for known in CAPABILITIES)
    raise ConfigurationError(f"there is no local model {bare!r}; there are {names} and local/<path of a .gguf file>")


# ------------------------------------------------------------------------------------------------------ the chat template
EXAMPLE_TURNS = (
    ("Classify the text into neutral, negative or positive. Text: I hated the film. Sentiment:", "Negative"),
    ("Text: The meeting is on Monday. Sentiment:", "Neutral"),
    ("What is the capital of Italy?", "Rome."),
    ("What is 5 + 3?", "5 + 3 = 8."),
)
"""Four turns before every conversation. They teach a model this small to answer briefly; found by trying, see the tests."""

_EXAMPLES = "".join(
    f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n" for question, answer in EXAMPLE_TURNS
)

CHAT_TEMPLATE = (
    """
{%- macro text(content) -%}
  {%- if content is string -%}{{ content }}
  {%- elif content -%}{%- for part in content -%}{{ part.text or '' }}{%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- set first = messages[0] -%}
{%- set has_system = first.role in ['system', 'developer'] -%}
{%- if has_system -%}{{- '<|im_start|>system\\n' + text(first.content) + '<|im_end|>\\n' -}}{%- endif -%}
{{- '"""
    + _EXAMPLES.replace("\n", "\\n")
    + """' -}}
{%- for message in messages[1:] if has_system else messages -%}
  {%- set roles = {'developer': 'system', 'tool': 'user'} -%}
  {{- '<|im_start|>' + roles.get(message.role, message.role) + '\\n' -}}
  {%- if message.role == 'tool' -%}{{- 'The tool answered: ' -}}{%- endif -%}
  {{- text(message.content) -}}
  {%- for call in message.tool_calls or [] -%}{{- call.function | tojson -}}{%- endfor -%}
  {{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
)
"""ChatML (https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct) with the example turns, as a Jinja template."""


# -------------------------------------------------------------------------------------------------------------- the quirks
_NOT_TAKEN = frozenset(
    {
        "audio",
        "function_call",
        "functions",
        "metadata",
        "modalities",
        "moderation",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "safety_identifier",
        "service_tier",
        "store",
        "verbosity",
        "web_search_options",
    }
)
"""Fields of OpenAI's chat request that the runtime would pass over in silence."""


def edit(body: dict[str, Any], model: str) -> tuple[Warning, ...]:
    """The body for the runtime, edited in place. Raises UnsupportedParamsError for what cannot be left out with good sense."""
    found = parse_model(model)
    wanted = "chat" if "messages" in body else "embedding"
    if wanted != found.operation:
        raise BadRequestError(
            f"local/{found.name} does {found.operation}, not {wanted}", llm_provider="local", model=found.name
        )
    if wanted == "embedding":
        return _edit_embedding(body)
    _refuse_media(body, found.name)
    if found.gguf is not None:
        return _count_warning(body)
    warnings = (*_count_warning(body), *_edit_tools(body))
    for name, value in (JSON_DEFAULTS if _wants_json(body) else DEFAULTS).items():
        if body.get(name) is None:
            body[name] = value
    if body.get("max_tokens") is None and body.get("max_completion_tokens") is None:
        body["max_tokens"] = MAX_TOKENS
    return warnings


def _wants_json(body: dict[str, Any]) -> bool:
    wanted = body.get("response_format")
    return "tools" in body or (isinstance(wanted, dict) and wanted.get("type") in ("json_schema", "json_object"))


def _edit_embedding(body: dict[str, Any]) -> tuple[Warning, ...]:
    length = CAPABILITIES[EMBEDDING_MODEL].vector_length
    if body.get("dimensions") not in (None, length):
        raise _unsupported(f"dimensions: {body['dimensions']} is not offered; local/{EMBEDDING_MODEL} gives {length} floats")
    body.pop("dimensions", None)
    return ()


def _refuse_media(body: dict[str, Any], model: str) -> None:
    for place, part in _parts(body.get("messages")):
        if part.get("type") not in ("text", "refusal"):
            raise _unsupported(f"{place}: a part of type {part.get('type')!r}; local/{model} reads text only")


def _parts(messages: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The content parts of well-formed messages, with their paths. What is ill-formed the runtime itself refuses."""
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for number, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict):
                yield f"messages[{index}].content[{number}]", part


def _count_warning(body: dict[str, Any]) -> tuple[Warning, ...]:
    if body.get("n") in (None, 1):
        return ()
    return (Warning(field="n", message="the usage of the answer counts one choice only", code="changed"),)


def _edit_tools(body: dict[str, Any]) -> tuple[Warning, ...]:
    """Leaves `tools` and `tool_choice` in the body only where a call is forced: `local_tools.force_call` does the rest."""
    body.pop("parallel_tool_calls", None)  # at most one call is ever made, which both values allow
    tools, choice = body.get("tools"), body.get("tool_choice")
    if not tools or choice in (None, "auto", "none"):
        body.pop("tools", None)
        body.pop("tool_choice", None)
        if not tools or choice == "none":
            return ()
        return (Warning(field="tools", message=f"local/{CHAT_MODEL} calls a tool only when tool_choice names or requires one"),)
    body["tools"] = chosen = _chosen(tools, choice)
    warnings = [
        Warning(field=name, message="left out: a forced tool call has a shape of its own")
        for name in ("response_format", "logprobs", "top_logprobs")
        if body.pop(name, None)
    ]
    if len(chosen) > 1:
        message = f"local/{CHAT_MODEL} makes a valid call, but which tool it calls is a guess: name one to be sure"
        warnings.append(Warning(field="tool_choice", message=message, code="emulated"))
    return tuple(warnings)


def _chosen(tools: Any, choice: Any) -> list[dict[str, Any]]:
    """The function tools that may be called."""
    functions = {tool["function"]["name"]: tool for tool in _function_tools(tools)}
    if choice == "required":
        return list(functions.values())
    name = choice.get("function", {}).get("name") if isinstance(choice, dict) and choice.get("type") == "function" else None
    if name is None:
        raise _unsupported(f"tool_choice: {choice!r}; local/{CHAT_MODEL} takes auto, none, required or one function's name")
    if name not in functions:
        raise BadRequestError(
            f"tool_choice: no tool is called {name!r}; there are: {', '.join(functions)}",
            llm_provider="local",
            model=CHAT_MODEL,
        )
    return [functions[name]]


def _function_tools(tools: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(tools, list):
        raise _unsupported(f"tools: expected an array, found {kind(tools)}")
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise _unsupported(f"tools[{index}]: local/{CHAT_MODEL} takes function tools with a name")
        yield tool


def _unsupported(message: str) -> UnsupportedParamsError:
    return UnsupportedParamsError(message, llm_provider="local")


QUIRKS = Quirks(drop=_NOT_TAKEN, edit=edit)
