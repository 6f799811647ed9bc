"""What `dragoman serve` is told: a YAML file, or nothing. Pure but for `load`, which reads one file.

    models:
      - name: fast                              # what clients ask for; "openai/*" serves a whole provider
        model: openai/gpt-4o-mini               # provider/model
        api_key: os.environ/OPENAI_API_KEY      # or leave it to the provider's own variable
      - name: fast                              # a second deployment of the same name: asked when the first fails
        model: groq/llama-3.3-70b-versatile
    server: {host: 127.0.0.1, port: 4000}
    timeouts: {first_token: 60}
    retries: 2

With no file the gateway serves the local models, and every `provider/model` whose key is in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from dragoman.core.errors import ConfigurationError, DragomanError
from dragoman.core.http import Timeouts
from dragoman.gateway.models import ModelEntry, Models
from dragoman.gateway.yaml_config import Document, convert, parse
from dragoman.router.deployment import Deployment
from dragoman.transport.fast_request import check_headers

Seconds = Annotated[float, Meta(gt=0, le=1e7)]


class TimeoutsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds, null for no limit; see `core.http.Timeouts`."""

    connect: Seconds | None = 10.0
    first_token: Seconds | None = 600.0
    idle: Seconds | None = 300.0
    total: Seconds | None = None


class ServerEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`api_key`, if set, must be shown by every client. `max_body_mb` bounds a request, `drain_seconds` a graceful stop."""

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 4000
    api_key: str | None = None
    max_body_mb: Annotated[float, Meta(gt=0, le=4096)] = 32.0
    drain_seconds: Annotated[int, Meta(ge=0, le=86400)] = 30
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, as it is written. `strict`: a parameter that a provider does not take is an error, not a warning."""

    models: tuple[ModelEntry, ...] = ()
    server: ServerEntry = ServerEntry()
    timeouts: TimeoutsEntry = TimeoutsEntry()
    retries: Annotated[int, Meta(ge=0, le=100)] = 2
    strict: bool = False


DEFAULT_MODELS = (
    ModelEntry(name="local/smollm2-135m", model="local/smollm2-135m"),
    ModelEntry(name="local/use-multilingual-v3", model="local/use-multilingual-v3"),
    ModelEntry(name="*", model="*"),
)


def load(path: str | None, *, env: Mapping[str, str]) -> tuple[Config, Models]:
    """Read and check a configuration. Raises ConfigurationError that names the file, the line and the key."""
    if path is None:
        return Config(), build_models(None, DEFAULT_MODELS, env)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        raise ConfigurationError(f"{path}:{line}: not YAML: this is not UTF-8") from None
    return read(text, file=path, env=env)


def read(text: str, *, file: str, env: Mapping[str, str]) -> tuple[Config, Models]:
    """As `load`, of text; `file` is its name in errors."""
    document = parse(text, file=file, env=env)
    config = convert(document, Config)
    _check_server(document, config.server)
    if not config.models:
        raise document.error("models", "there is none; write one, or `- {name: '*', model: '*'}` for every provider with a key")
    return config, build_models(document, config.models, env)


def timeouts(entry: TimeoutsEntry) -> Timeouts:
    return Timeouts(connect=entry.connect, first_token=entry.first_token, idle=entry.idle, total=entry.total)


def _check_server(document: Document, entry: ServerEntry) -> None:
    key = entry.api_key
    if key is not None and not (key and key == key.strip() and key.isascii() and key.isprintable()):
        raise document.error("server.api_key", "expected visible ASCII characters without blanks around them")
    if entry.ssl_keyfile is not None and entry.ssl_certfile is None:
        raise document.error("server.ssl_keyfile", "needs ssl_certfile beside it; without one nothing would be encrypted")


def build_models(document: Document | None, entries: tuple[ModelEntry, ...], env: Mapping[str, str]) -> Models:
    """Every entry resolved, so that a missing key or a wrong name is seen at the start and not at the first call."""
    groups: dict[str, list[Deployment]] = {}
    patterns: dict[str, list[tuple[int, ModelEntry]]] = {}
    for index, entry in enumerate(entries):
        try:
            _check_headers(entry)
            if "*" in entry.name or "*" in entry.model:
                _check_pattern(entry, env)
                patterns.setdefault(entry.name, []).append((index, entry))
            else:
                deployment = Deployment(entry.target(entry.model, env), group=entry.name, id=f"{entry.name}#{index}")
                groups.setdefault(entry.name, []).append(deployment)
        except DragomanError as problem:
            if document is None:
                raise
            raise document.error(f"models[{index}]", problem.message) from None
    return Models(
        groups={name: tuple(group) for name, group in groups.items()},
        patterns={name: tuple(group) for name, group in patterns.items()},
        env=env,
    )


def _check_headers(entry: ModelEntry) -> None:
    try:
        check_headers(tuple(entry.headers.items()))
    except ValueError as problem:
        raise ConfigurationError(f"headers: {problem}") from None


def _check_pattern(entry: ModelEntry, env: Mapping[str, str]) -> None:
    """A pattern that names its provider must find it, and its key. One that does not must not hold what is meant for one."""
    for name, value in (("name", entry.name), ("model", entry.model)):
        if value.count("*") != 1 or not value.endswith("*"):
            raise ConfigurationError(f"{name}: {value!r}: a pattern has one * at its end, in name and model alike")
    if "/" in entry.model:
        entry.target(entry.model[:-1] + "any", env)
    elif (entry.api_key or entry.headers) and not entry.api_base:
        raise ConfigurationError(
            f"model: {entry.model!r} may be any provider, so a key or headers here would go to whichever a client names: "
            "name the provider, as in openai/*, or give api_base too"
        )
