"""A provider is a frozen row: where it is, how it is paid for, which dialect it speaks for which operation, its quirks.

Nothing here reads the environment, opens a socket or holds a key; `registry.resolve` makes a `Target` of a row, a model
and a credential. A quirk is a declared deviation from the dialect, applied to the body that the dialect wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct, field

from dragoman.core.chat import Warning
from dragoman.core.http import Headers

Operation = Literal[
    "chat",
    "embedding",
    "image",
    "image_edit",
    "image_variation",
    "speech",
    "transcription",
    "translation",
    "rerank",
    "moderation",
    "ocr",
    "decision",
    "token_count",
    "completion",
    "responses",
]
Auth = Literal["bearer", "plain", "x-api-key", "api-key", "x-goog-api-key", "token", "key", "x-key", "xi-api-key", "none"]

OPENAI_SHAPED = {"chat": "openai_chat", "embedding": "openai_embeddings"}
"""What a server that calls itself OpenAI-compatible is taken to speak."""

BodyEdit = Callable[[dict[str, Any], str], tuple[Warning, ...]]
"""A quirk that a table cannot say: edits the body (of the given model) in place, returns what was lost."""


class Quirks(Struct, frozen=True, kw_only=True):
    """Declared deviations, in the order they are applied: rename, drop, map_values, clamp, defaults, edit.

    `rename`: body field -> its name here. `drop`: fields this provider refuses; leaving one out is a Warning, and an
    UnsupportedParamsError where the caller's policy forbids dropping. `map_values`: field -> {value -> value here}.
    `clamp`: field -> (lowest, highest). `defaults`: fields added when absent. `edit`: a function for the rest.
    `stream_usage`: the provider takes stream_options.include_usage. `relay`: its answers are clean enough in its dialect
    that the bytes may go to a client of the same dialect as they came; otherwise they are decoded and written anew.
    `reasoning_apart`: it does not count reasoning tokens among its completion tokens, nor in their total; not to be relayed.
    """

    rename: dict[str, str] = {}
    drop: frozenset[str] = frozenset()
    map_values: dict[str, dict[str, Any]] = {}
    clamp: dict[str, tuple[float, float]] = {}
    defaults: dict[str, Any] = {}
    edit: BodyEdit | None = None
    stream_usage: bool = True
    relay: bool = True
    reasoning_apart: bool = False


NO_QUIRKS = Quirks()
"""The one object that all rows without quirks share, so that it is known by looking at it and not into it."""


class Prefill(Struct, frozen=True, kw_only=True):
    """How a provider is told that a last message of the assistant is the beginning of its answer, to be written on.

    `message`: fields of that message. `body`: fields of the request. `base_url`: where alone it is offered, by the same vendor.
    `repeats`: its answer starts with the beginning, said once more. `models`: globs of the models that do it,
    beside those of which the catalog knows.
    """

    message: dict[str, Any] = {}
    body: dict[str, Any] = {}
    base_url: str = ""
    repeats: bool = False
    models: tuple[str, ...] = ()


class Provider(Struct, frozen=True, kw_only=True):
    """One row. `base_url` None means self-hosted: the caller, or a variable in `base_url_variables`, must name it.

    `key_variables` and `base_url_variables` are environment variables, looked up in order. `key_optional` is for servers
    that need none. `dialects` maps an operation to the dialect it is spoken in here; an operation that is not in it is not
    offered. `paths` overrides a dialect's path for an operation. `docs` is the vendor's API reference.

    `hosts`: further hosts of the same vendor, to which its key may go; a `*` stands for one label. `bearer_variables`:
    variables with a token that travels as `Authorization: Bearer`, whatever `auth` is; looked up after the keys.
    `header_variables`: variable -> header it fills, sent to the vendor's own host only. `model_path_prefix` is put before a
    model name that has no slash. `model_prefixes`: how names of models begin that mean this provider when nobody named one.
    `default_path`: the path of a base URL that was given without one. `model_quirks`: glob of model names -> the quirks of
    those models, in place of `quirks`; `model_dialects`: glob -> entries that replace those of `dialects`; of both the first
    match holds.

    `url_variables`: placeholder in `base_url` ("https://{region}.example/v1") or `paths` -> environment variables it is filled
    from, in order; `url_defaults`: placeholder -> what it is without one; `url_exceptions`: how a filled `base_url` begins ->
    how it begins in truth, where one value makes another kind of host. `{model}` in a path is the model. `paths` do not
    hold for a base URL that ends in `own_paths_under`: the dialect's own do there. `authorizer`: the scheme of
    `providers.auth` for credentials that are no static header (signatures, short-lived tokens); a key, where one is given,
    goes before it. `further`: operation -> dialects beside that of `dialects` in which it is offered -> their path here;
    clients of such a dialect are served in it. `elsewhere`: operation -> the base URL it is offered at, where that is not
    `base_url`, which then has no placeholders; one that a caller or a variable gives holds for all operations. `handled`: a
    handler in this process answers, so a base URL that a caller gives is told to it and not asked. `prefill`: None where it
    takes no more than the message, or cannot do it.
    """

    name: str
    base_url: str | None
    key_variables: tuple[str, ...] = ()
    bearer_variables: tuple[str, ...] = ()
    header_variables: dict[str, str] = {}
    base_url_variables: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    default_path: str = ""
    aliases: tuple[str, ...] = ()
    auth: Auth = "bearer"
    key_optional: bool = False
    dialects: dict[str, str] = field(default_factory=lambda: dict(OPENAI_SHAPED))
    paths: dict[str, str] = {}
    headers: Headers = ()
    model_prefixes: tuple[str, ...] = ()
    model_path_prefix: str = ""
    quirks: Quirks = NO_QUIRKS
    model_quirks: dict[str, Quirks] = {}
    model_dialects: dict[str, dict[str, str]] = {}
    url_variables: dict[str, tuple[str, ...]] = {}
    url_defaults: dict[str, str] = {}
    url_exceptions: dict[str, str] = {}
    own_paths_under: str = ""
    authorizer: str = ""
    further: dict[str, dict[str, str]] = {}
    elsewhere: dict[str, str] = {}
    handled: bool = False
    prefill: Prefill | None = None
    docs: str = ""


class Target(Struct, frozen=True, kw_only=True):
    """A row made concrete for one deployment: everything `engine.prepare` needs but the request.

    `api_key` goes to the host of `base_url` and nowhere else. `secrets`: what the row's authorizer signs with here, in place of
    what it finds on the machine; by LiteLLM's names. The repr leaves both out.
    """

    provider: Provider
    model: str
    base_url: str
    api_key: str | None = None
    headers: Headers = ()
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        key = "set" if self.api_key or self.secrets else "none"
        return f"Target({self.provider.name}/{self.model} at {self.base_url}, key {key})"


AUTH_HEADERS: dict[Auth, tuple[str, str] | None] = {
    "bearer": ("authorization", "Bearer {}"),
    "plain": ("authorization", "{}"),
    "token": ("authorization", "Token {}"),
    "key": ("authorization", "Key {}"),
    "x-api-key": ("x-api-key", "{}"),
    "api-key": ("api-key", "{}"),
    "x-goog-api-key": ("x-goog-api-key", "{}"),
    "x-key": ("x-key", "{}"),
    "xi-api-key": ("xi-api-key", "{}"),
    "none": None,
}
"""How a key travels: header name and template."""


def credential_headers(target: Target) -> Headers:
    """The headers that carry the target's key; empty without one."""
    form = AUTH_HEADERS[target.provider.auth]
    if form is None or not target.api_key:
        return ()
    return ((form[0], form[1].format(target.api_key)),)
