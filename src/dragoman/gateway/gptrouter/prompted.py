"""Stored prompts from the gateway's other faces: a request that names one has it put before its own messages, and goes its way.

    {"prompt_id": ID, "prompt_label"?: "production", "prompt_version"?: 3, "prompt_variables"?: {...}, "model"?, "messages"?}

The fields are LiteLLM's, on chat completions, Responses and Messages alike. What the request says itself goes before what the
prompt says; without a `model` it is the first of the prompt's. A request without `prompt_id` costs one look at its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from dragoman.core import json
from dragoman.core.errors import DragomanError
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.gateway import serving
from dragoman.gateway.admission import TAGS
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.directory import Directory
from dragoman.gateway.gptrouter.prompt_runs import candidate, ledger_name, wanted
from dragoman.gateway.gptrouter.prompt_store import Prompt, PromptStore
from dragoman.gateway.gptrouter.templates import fill
from dragoman.gateway.pipeline import Answering, Pipeline, Route
from dragoman.gateway.subject import UNREADABLE

_FIELDS = ("prompt_id", "prompt_label", "prompt_version", "prompt_variables")
_COMMON = ("temperature", "top_p", "max_tokens")

Said = list[dict[str, Any]]


class Prompts(NamedTuple):
    """Where stored prompts are, and who their models are."""

    store: PromptStore
    directory: Directory


def prompted_routes(pipeline: Pipeline, prompts: Callable[[], Prompts]) -> dict[tuple[str, bytes], serving.Route]:
    """In place of the routes of these paths, with `/v1` and without. `prompts` is asked when a request names one."""
    table: dict[tuple[str, bytes], serving.Route] = {}
    for path, operation, dialect in _PATHS:
        handler = PromptedRoute(pipeline, operation, dialect, prompts)
        route = serving.Route(handler, handler.encode_error)
        table |= {("POST", b"/v1" + path): route, ("POST", path): route}
    return table


_PATHS = (
    (b"/chat/completions", "chat", "openai_chat"),
    (b"/responses", "responses", "openai_responses"),
    (b"/messages", "chat", "anthropic_messages"),
)


class PromptedRoute(Route):
    """A route that takes `prompt_id` as well."""

    def __init__(self, pipeline: Pipeline, operation: str, dialect: str, prompts: Callable[[], Prompts]) -> None:
        super().__init__(pipeline, operation, dialect)
        self.prompts = prompts

    def __call__(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        if b'"prompt_id"' not in exchange.body:
            return super().__call__(exchange)
        return Prompting(self, exchange, self.prompts()).run()


class Prompting(Answering):
    """One request that may name a prompt. Its key is looked at before any prompt is."""

    __slots__ = ("_prompts",)

    def __init__(self, route: PromptedRoute, exchange: Exchange, prompts: Prompts) -> None:
        super().__init__(route, exchange)
        self._prompts = prompts

    async def run(self) -> None:
        exchange = self._exchange
        try:
            await self._route.pipeline.authorised(exchange.header, exchange.client)
            await prepare(self._route.name, exchange, self._prompts)
        except (DragomanError, *UNREADABLE) as problem:
            self._explained(problem)
        else:
            await self._in_turn()


async def prepare(dialect: str, exchange: Exchange, prompts: Prompts) -> None:
    """Rewrites the body, and writes the prompt's name among the tags of the request. Raises BadRequestError."""
    body = json.decode(exchange.body)
    if type(body) is not dict or "prompt_id" not in body:
        return
    fields = Fields({key: body.pop(key) for key in _FIELDS if key in body}, "")
    prompt = await wanted(
        prompts.store,
        fields.need_text("prompt_id"),
        label=fields.text("prompt_label"),
        version=fields.integer("prompt_version"),
        place="prompt_id",
    )
    params = fill(prompt.prompt_params, fields.mapping("prompt_variables") or {}, "prompt_variables")
    if not body.get("model"):
        body["model"] = _model(prompt, prompts.directory)
    exchange.body = json.encode(_JOINED[dialect](params, body))
    _tag(exchange, body, f"prompt:{ledger_name(prompt)}")


def _model(prompt: Prompt, directory: Directory) -> str:
    if not prompt.models:
        refuse("model", "missing: this prompt names none either")
    return directory.find(candidate(prompt.models[0], {}, 0)).group


def _tag(exchange: Exchange, body: dict[str, Any], name: str) -> None:
    """Beside the request's own tags; a header goes before the body's."""
    own = exchange.header(TAGS)
    metadata = body.get("metadata")
    said = metadata.get("tags") if isinstance(metadata, dict) and own is None else None
    tags = [tag.encode("latin-1", "backslashreplace") for tag in said or () if isinstance(tag, str)]
    told = b",".join([*([own] if own else tags), name.encode()])
    exchange.headers = [(key, value) for key, value in exchange.headers if key != TAGS] + [(TAGS, told)]


# ------------------------------------------------------------------------------------------------- the words of each dialect
def _conversation(params: dict[str, Any]) -> Said:
    messages = params.get("messages") or [{"role": "user", "content": params.get("prompt") or ""}]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        mismatch("prompt_id", "a prompt with messages", messages)
    return messages


def _own(body: dict[str, Any], key: str) -> Said:
    held = body.get(key) or []
    if isinstance(held, str):
        return [{"role": "user", "content": held}]
    return held if isinstance(held, list) else mismatch(key, "an array of messages", held)


def _chat(params: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in params.items() if key not in ("messages", "prompt")}
    return {**rest, **body, "messages": [*_conversation(params), *_own(body, "messages")]}


def _responses(params: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    rest = {key: params[key] for key in _COMMON if key in params}
    if "max_tokens" in rest:
        rest["max_output_tokens"] = rest.pop("max_tokens")
    return {**rest, **body, "input": [*_conversation(params), *_own(body, "input")]}


def _messages(params: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """A system message has a place of its own there."""
    rest = {key: params[key] for key in _COMMON if key in params}
    said = _conversation(params)
    told = [one["content"] for one in said if one.get("role") == "system" and one.get("content")]
    own = body.get("system")
    if told and own:
        refuse("system", "stands beside the system message of the prompt: send one of them")
    system = {"system": _system(told)} if told else {}
    messages = [one for one in said if one.get("role") != "system"]
    return {**rest, **body, **system, "messages": [*messages, *_own(body, "messages")]}


def _system(told: list[Any]) -> Any:
    """One text where all are texts; text parts are written as OpenAI's are."""
    if not any(isinstance(one, list) for one in told):
        return "\n".join(map(str, told))
    return [part for one in told for part in (one if isinstance(one, list) else [{"type": "text", "text": str(one)}])]


_JOINED: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic_messages": _messages,
}
