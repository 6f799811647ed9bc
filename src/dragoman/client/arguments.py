"""The keyword arguments of a call, sorted: what goes into the body, what steers the call, what names the place.

A call is written as a request in OpenAI's dialect, because that is how its arguments are shaped; the engine translates it.
What is neither an OpenAI parameter nor a control goes to the provider as it stands (`min_p=0.1`), like `extra_body`.
Nothing that steers a call ever reaches a body. A key and an address that are set for all calls count only together.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core.chat import ChatRequest
from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.core.http import Headers, Timeouts
from dragoman.engine.call import CallOptions
from dragoman.providers import registry
from dragoman.router.retry import RetryPolicy
from dragoman.transport.fast_request import check_headers

CHAT_PARAMETERS = frozenset(
    """
    messages temperature top_p n stream stream_options stop max_completion_tokens max_tokens modalities prediction audio
    presence_penalty frequency_penalty logit_bias user reasoning_effort verbosity response_format seed tools tool_choice
    logprobs top_logprobs parallel_tool_calls web_search_options safety_identifier service_tier store prompt_cache_key
    prompt_cache_retention functions function_call thinking metadata reasoning top_k
    """.split()
)
EMBEDDING_PARAMETERS = frozenset({"input", "dimensions", "encoding_format", "user"})

PLACE = frozenset({"api_key", "api_base", "base_url", "custom_llm_provider", "api_version"})
NOTES = frozenset({"litellm_metadata", "litellm_call_id", "litellm_trace_id", "no-log"})
"""What a call says to the hooks alone; see `callbacks`."""
CONTROLS = NOTES | frozenset(
    """
    timeout stream_timeout num_retries max_retries drop_params strict extra_headers headers extra_body mock_response
    caching cache
    """.split()
)

_ROUTER = "use dragoman.Router, or a gateway with several deployments"
REFUSED = {
    "fallbacks": _ROUTER,
    "context_window_fallback_dict": _ROUTER,
    "model_list": _ROUTER,
    "mock_tool_calls": "use the model demo/tools",
    "mock_timeout": "use the model demo/echo?fail=timeout",
    "mock_delay": "use the model demo/echo?latency=MILLISECONDS",
    "deployment_id": "name the model as provider/model",
    "ssl_verify": "set SSL_CERT_FILE to your authority's certificate",
    **dict.fromkeys(
        """
        api_type organization retry_strategy retry_policy tags litellm_session_id
        mock_testing_fallbacks mock_testing_context_fallbacks mock_testing_content_policy_fallbacks
        mock_testing_rate_limit_error cache_key additional_drop_params allowed_openai_params allowed_model_region base_model
        model_info input_cost_per_token output_cost_per_token input_cost_per_second output_cost_per_second hf_model_name
        initial_prompt_value roles final_prompt_value text_completion user_continue_message
        assistant_continue_message ensure_alternating_roles supports_system_message merge_reasoning_content_in_choices
        disable_fallbacks max_fallbacks specific_deployment priority guardrails prompt_id prompt_variables prompt_version
        extra_query proxy_server_request azure_ad_token_provider client shared_session enable_json_schema_validation
        """.split(),
        "Dragoman has no such control; leave it out, or put it into extra_body if the provider is to have it",
    ),
}
"""Controls that LiteLLM takes and this package does not: an error, because they must neither be ignored nor reach a body."""

DEFAULT_TIMEOUT = 600.0


class Arguments(Struct, frozen=True, kw_only=True):
    """`body` is the request in OpenAI's dialect, as bytes; `place` says whom to ask, in the words of `registry.resolve`.

    `shape` holds of the request what decides how chunks of its stream are written. `routing` is a router's own, `notes` are
    for the hooks, `caching` and `cache` for the cache.
    """

    body: bytes
    stream: bool
    shape: ChatRequest
    place: dict[str, Any]
    options: CallOptions
    mock: Any = None
    routing: Any = None
    notes: dict[str, Any] = {}
    caching: bool | None = None
    cache: Any = None


def arguments(model: str, parameters: frozenset[str], given: dict[str, Any], defaults: dict[str, Any]) -> Arguments:
    """Sort `given` (the caller's keywords; None means "not said"). `defaults` are settings by the same names."""
    said = {name: value for name, value in given.items() if value is not None}
    usual = {name: value for name, value in defaults.items() if value is not None}
    for name in REFUSED.keys() & (said | usual):
        raise BadRequestError(f"{name} is not supported here: {REFUSED[name]}")
    unknown = usual.keys() - PLACE - CONTROLS
    if unknown:
        raise ConfigurationError(f"{', '.join(sorted(unknown))}: no default that a client takes; pass it to the call")
    body = {"model": model, **{name: _value(name, said[name]) for name in said if name in parameters}}
    extra = {name: said[name] for name in said.keys() - parameters - PLACE - CONTROLS}
    control = usual | said
    stream = bool(said.get("stream"))
    return Arguments(
        body=encode_body(body),
        stream=stream,
        shape=_shape(model, said),
        place=_place(model, said, usual),
        options=CallOptions(
            timeouts=timeouts(control.get("timeout"), control.get("stream_timeout"), stream=stream),
            retry=RetryPolicy(max_retries=_retries(said, usual)),
            strict=bool(control.get("strict")) or control.get("drop_params") is False,
            extra_body=extra | _mapping(control, "extra_body"),
            extra_headers=_headers(_mapping(control, "headers"), _mapping(control, "extra_headers")),
        ),
        mock=control.get("mock_response"),
        notes={name: control[name] for name in NOTES & control.keys()}
        | {"litellm_metadata": _mapping(control, "litellm_metadata")},
        caching=control.get("caching"),
        cache=control.get("cache"),
    )


def _shape(model: str, said: dict[str, Any]) -> ChatRequest:
    """Values that make no sense are for the provider to refuse."""
    count, options = said.get("n"), said.get("stream_options")
    return ChatRequest(
        model=model,
        n=count if type(count) is int else None,
        include_usage=bool(options.get("include_usage")) if isinstance(options, dict) else None,
    )


def _place(model: str, said: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """A default key goes to the default address and nowhere else: whose it is, nobody but that address can tell."""
    provider = said.get("custom_llm_provider") or usual.get("custom_llm_provider")
    base_url, usual_url = _one(said, "base_url", "api_base"), _one(usual, "base_url", "api_base")
    key = said.get("api_key")
    if key is None and base_url is None and usual.get("api_key") is not None:
        key = usual["api_key"]
        if usual_url is None:
            row, _ = registry.split(model, provider=provider)
            own = f"set {row.key_variables[0]}, or " if row.key_variables else ""
            raise ConfigurationError(
                f"api_key is set for all calls without an api_base: it would go to {row.name} and to every other provider; "
                f"{own}pass api_key to the call, or set api_base to the address it belongs to"
            )
    version = said.get("api_version", usual.get("api_version"))
    if not isinstance(version, str | None):
        raise BadRequestError(f"api_version: expected a text such as '2024-10-21', found {version!r}")
    return {"provider": provider, "api_key": key, "base_url": base_url or usual_url, "api_version": version}


def _one(values: dict[str, Any], *names: str) -> Any:
    """The value of an argument that has two names."""
    found = [values[name] for name in names if name in values]
    if len(found) > 1 and found[0] != found[1]:
        raise BadRequestError(f"{' and '.join(names)} are two names of one thing; pass one of them")
    return found[0] if found else None


def timeouts(timeout: Any, stream_timeout: Any, *, stream: bool) -> Timeouts:
    """Seconds for the whole answer; for a stream, seconds until its first token and between two; or a Timeouts of your own."""
    chosen = stream_timeout if stream and stream_timeout is not None else timeout
    if isinstance(chosen, Timeouts):
        return chosen
    seconds = DEFAULT_TIMEOUT if chosen is None else chosen
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise BadRequestError(f"timeout: expected seconds above 0 or a dragoman.Timeouts, found {chosen!r}")
    if stream:
        return Timeouts(connect=min(10.0, seconds), first_token=seconds, idle=seconds)
    return Timeouts(connect=min(10.0, seconds), first_token=seconds, idle=seconds, total=seconds)


def encode_body(body: dict[str, Any]) -> bytes:
    """The body as JSON. Pydantic objects are taken as what they dump to; anything else that JSON cannot say is an error."""
    try:
        return _encoder.encode(body)
    except (TypeError, ValueError) as problem:
        raise BadRequestError(f"the request cannot be written as JSON: {problem}") from None


def _value(name: str, value: Any) -> Any:
    if name == "response_format" and isinstance(value, type):
        return _schema_of(value)
    return value


def _schema_of(model: type) -> dict[str, Any]:
    """A pydantic class as a strict json_schema response format: every property required, none besides."""
    describe = getattr(model, "model_json_schema", None)
    if describe is None:
        raise BadRequestError(f"response_format: expected a dict or a pydantic model class, found the class {model.__name__}")
    return {"type": "json_schema", "json_schema": {"name": model.__name__, "schema": _closed(describe()), "strict": True}}


_NAMED = frozenset({"properties", "$defs", "definitions"})
"""Keywords of JSON Schema that hold names, not keywords."""


def _closed(schema: Any) -> Any:
    """Strict mode takes no defaults (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas)."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        key: {name: _closed(item) for name, item in value.items()} if key in _NAMED else _closed(value)
        for key, value in schema.items()
        if key != "default"
    }
    if "properties" in closed:
        closed["required"] = list(closed["properties"])
        closed["additionalProperties"] = False
    return closed


def _retries(said: dict[str, Any], usual: dict[str, Any]) -> int:
    number = _one(said, "num_retries", "max_retries")
    if number is None:
        number = _one(usual, "num_retries", "max_retries")
    if number is None:
        return RetryPolicy().max_retries
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise BadRequestError(f"num_retries: expected a whole number from 0, found {number!r}")
    return number


def _mapping(control: dict[str, Any], name: str) -> dict[str, Any]:
    value = control.get(name)
    if value is not None and not isinstance(value, dict):
        raise BadRequestError(f"{name}: expected a dict, found {type(value).__name__}")
    return value or {}


def _headers(*given: dict[str, Any]) -> Headers:
    headers = tuple({str(name).lower(): str(value) for part in given for name, value in part.items()}.items())
    try:
        check_headers(headers)
    except ValueError as problem:
        raise BadRequestError(f"extra_headers: {problem}") from None
    return headers


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(exclude_none=True)
    raise TypeError(f"{type(value).__name__} is no JSON value")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
"""As `core.json.encode`, for arguments that may hold other libraries' objects."""
