"""Stored prompts from the gateway's other faces: a request that names one has it put before its own messages, and goes its way.

    {"prompt_id": ID, "prompt_label"?: "production", "prompt_version"?: 3, "prompt_variables"?: {...}, "model"?, "messages"?}

The fields are LiteLLM's, on chat completions, Responses, Messages and Gemini's route alike. What the request says itself goes
before what the prompt says; without a `model` it is the first of the prompt's. A request without `prompt_id` costs one look at
its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from dragoman.core import json
from dragoman.dialects import registry
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.gateway import serving
from dragoman.gateway.admission import TAGS
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.directory import Directory
from dragoman.gateway.gptrouter.prompt_runs import Names, candidate, ledger_names, wanted
from dragoman.gateway.gptrouter.prompt_store import Prompt, PromptStore
from dragoman.gateway.gptrouter.templates import fill
from dragoman.gateway.pipeline import Answering, Pipeline, Route
from dragoman.gateway.subject import Subject, in_the_body, in_the_path

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity

_FIELDS = ("prompt_id", "prompt_label", "prompt_version", "prompt_variables")
_NAMES = Names("prompt_id", "prompt_version", "prompt_label")
_COMMON = ("temperature", "top_p", "max_tokens")

Said = list[dict[str, Any]]


class Prompts(NamedTuple):
    """Where stored prompts are, and who their models are."""

    store: PromptStore
    directory: Directory


def prompted_routes(pipeline: Pipeline, prompts: Callable[[], Prompts]) -> dict[tuple[str, bytes], serving.Route]:
    """In place of the routes of these paths. `prompts` is asked when a request names one."""
    table: dict[tuple[str, bytes], serving.Route] = {}
    for paths, operation, dialect, subject in _PATHS:
        handler = PromptedRoute(pipeline, operation, dialect, subject, prompts)
        table |= {("POST", path): serving.Route(handler, handler.encode_error) for path in paths}
    return table


_PATHS = (
    ((b"/v1/chat/completions", b"/chat/completions"), "chat", "openai_chat", in_the_body),
    ((b"/v1/responses", b"/responses"), "responses", "openai_responses", in_the_body),
    ((b"/v1/messages", b"/messages"), "chat", "anthropic_messages", in_the_body),
    ((b"/v1beta/models/*", b"/v1/models/*"), "chat", "gemini", in_the_path),
)
_MODEL_IN_PATH = frozenset({"gemini"})


class PromptedRoute(Route):
    """A route that takes `prompt_id` as well."""

    def __init__(
        self, pipeline: Pipeline, operation: str, dialect: str, subject: Subject, prompts: Callable[[], Prompts]
    ) -> None:
        super().__init__(pipeline, operation, dialect, subject)
        self.prompts = prompts

    def __call__(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        if b'"prompt_id"' not in exchange.body:
            return super().__call__(exchange)
        return Prompting(self, exchange, self.prompts()).in_turn()


class Prompting(Answering):
    """One request that may name a prompt. Its key is looked at before any prompt is."""

    __slots__ = ("_prompts",)

    def __init__(self, route: PromptedRoute, exchange: Exchange, prompts: Prompts) -> None:
        super().__init__(route, exchange)
        self._prompts = prompts

    async def _authorised(self) -> Identity | None:
        who = await super()._authorised()
        await prepare(self._route.name, self._exchange, self._prompts)
        return who


async def prepare(dialect: str, exchange: Exchange, prompts: Prompts) -> None:
    """Rewrites the body, and writes the prompt's name among the tags of the request. Raises BadRequestError."""
    body = json.decode(exchange.body)
    if type(body) is not dict or "prompt_id" not in body:
        return
    fields = Fields({key: body.pop(key) for key in _FIELDS if key in body}, "")
    label, version = fields.text("prompt_label"), fields.integer("prompt_version")
    prompt = await wanted(prompts.store, fields.need_text("prompt_id"), label=label, version=version, names=_NAMES)
    params = fill(prompt.prompt_params, fields.mapping("prompt_variables") or {}, "prompt_variables")
    if not body.get("model") and dialect not in _MODEL_IN_PATH:
        body["model"] = _model(prompt, prompts.directory)
    exchange.body = json.encode(_JOINED[dialect](params, body))
    _tag(exchange, body, [f"prompt:{name}" for name in ledger_names(prompt, label)])


def _model(prompt: Prompt, directory: Directory) -> str:
    if not prompt.models:
        refuse("model", "missing: this prompt names none either")
    return directory.find(candidate(prompt.models[0], {}, 0)).group


def _tag(exchange: Exchange, body: dict[str, Any], names: list[str]) -> None:
    """Beside the request's own tags; a header goes before the body's."""
    own = exchange.header(TAGS)
    metadata = body.get("metadata")
    said = metadata.get("tags") if isinstance(metadata, dict) and own is None else None
    tags = [_header(tag) for tag in said or () if isinstance(tag, str)]
    exchange.put_header(TAGS, b",".join([*([own] if own else tags), *(_header(name.replace(",", " ")) for name in names)]))


def _header(text: str) -> bytes:
    return text.encode("latin-1", "backslashreplace")


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
    _one_system(told, body.get("system"), "system")
    system = {"system": _system(told)} if told else {}
    messages = [one for one in said if one.get("role") != "system"]
    return {**rest, **body, **system, "messages": [*messages, *_own(body, "messages")]}


def _gemini(params: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The prompt is a request of OpenAI's, which the dialects write in Gemini's words."""
    asked = {**params, "model": "any", "messages": _conversation(params)}
    asked.pop("prompt", None)
    said = registry.get("gemini").encode_request(registry.get("openai_chat").decode_request(json.encode(asked))).body
    _one_system(said.get("systemInstruction"), body.get("systemInstruction"), "systemInstruction")
    contents = [*said["contents"], *_own(body, "contents")]
    config = {**said.get("generationConfig", {}), **(body.get("generationConfig") or {})}
    return {**said, **body, "contents": contents, **({"generationConfig": config} if config else {})}


def _one_system(prompted: Any, own: Any, name: str) -> None:
    if prompted and own:
        refuse(name, "stands beside the system message of the prompt: send one of them")


def _system(told: list[Any]) -> Any:
    """One text where all are texts; text parts are written as OpenAI's are."""
    if not any(isinstance(one, list) for one in told):
        return "\n".join(map(str, told))
    return [part for one in told for part in (one if isinstance(one, list) else [{"type": "text", "text": str(one)}])]


_JOINED: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic_messages": _messages,
    "gemini": _gemini,
}
