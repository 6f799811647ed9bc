"""What `dragoman serve` is told: a YAML file, or nothing. Pure but for `load`, which reads one file.

    models:
      - name: fast                              # what clients ask for; "openai/*" serves a whole provider
        model: openai/gpt-4o-mini               # provider/model
        api_key: os.environ/OPENAI_API_KEY      # or leave it to the provider's own variable
      - name: fast                              # a second deployment of the same name
        model: groq/llama-3.3-70b-versatile
    server: {host: 127.0.0.1, port: 4000}
    timeouts: {first_token: 60}
    retries: 2
    router: {fallbacks: {fast: [local/smollm2-135m]}}

A file with a `model_list` is LiteLLM's and read by `litellm_config`. With no file the gateway serves the local models, and
every `provider/model` whose key is in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from dragoman.core.errors import ConfigurationError
from dragoman.core.http import Timeouts
from dragoman.gateway.models import ModelEntry, read_models
from dragoman.gateway.router_config import RouterEntry, make_policy, settings
from dragoman.gateway.yaml_config import Document, convert, parse
from dragoman.router.policy import Policy

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


class GovernanceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Virtual keys, budgets, limits and the ledger. `database`: a URL of SQLite or PostgreSQL. `journal`: a folder of this
    machine, where what calls did is safe until the database has it. `unpriced`: what becomes of a call whose price nobody
    knows, where a budget holds.
    """

    database: Annotated[str, Meta(min_length=1)] = "sqlite:///dragoman.db"
    journal: Annotated[str, Meta(min_length=1)] = "dragoman-journal"
    unpriced: Literal["refuse", "allow"] = "refuse"


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, as it is written. `strict`: a parameter that a provider does not take is an error, not a warning."""

    models: tuple[ModelEntry, ...] = ()
    server: ServerEntry = ServerEntry()
    timeouts: TimeoutsEntry = TimeoutsEntry()
    retries: Annotated[int, Meta(ge=0, le=100)] = 2
    strict: bool = False
    router: RouterEntry = RouterEntry()
    governance: GovernanceEntry | None = None


DEFAULT_MODELS = (
    ModelEntry(name="local/smollm2-135m", model="local/smollm2-135m"),
    ModelEntry(name="local/use-multilingual-v3", model="local/use-multilingual-v3"),
    ModelEntry(name="*", model="*"),
)


def load(path: str | None, *, env: Mapping[str, str]) -> tuple[Config, Policy]:
    """Read and check a configuration. Raises ConfigurationError that names the file, the line and the key."""
    if path is None:
        document = Document("the built-in configuration", None, {})
        return Config(), _policy(document, Config(models=DEFAULT_MODELS), env)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        raise ConfigurationError(f"{path}:{line}: not YAML: this is not UTF-8") from None
    return read(text, file=path, env=env)


def read(text: str, *, file: str, env: Mapping[str, str]) -> tuple[Config, Policy]:
    """As `load`, of text; `file` is its name in errors."""
    document = parse(text, file=file, env=env)
    if isinstance(document.value, dict) and "model_list" in document.value:
        from dragoman.gateway import litellm_config  # noqa: PLC0415 - only for files of that kind

        return litellm_config.read(document, env)
    config = convert(document, Config)
    _check_server(document, config.server)
    if config.governance is not None and config.server.api_key is None:
        raise document.error("governance", "needs server.api_key beside it: the key that may issue the others")
    if not config.models:
        raise document.error("models", "there is none; write one, or `- {name: '*', model: '*'}` for every provider with a key")
    return config, _policy(document, config, env)


def _policy(document: Document, config: Config, env: Mapping[str, str]) -> Policy:
    models = read_models(document, config.models, config.router.aliases, env)
    chosen = settings(document, config.router, retries=config.retries)
    try:
        return make_policy(models, chosen, (entry.name for entry in config.models))
    except ConfigurationError as problem:
        raise document.error("router", problem.message) from None


def timeouts(entry: TimeoutsEntry) -> Timeouts:
    return Timeouts(connect=entry.connect, first_token=entry.first_token, idle=entry.idle, total=entry.total)


def check_key(document: Document, path: str, key: str | None) -> None:
    if key is not None and not (key and key == key.strip() and key.isascii() and key.isprintable()):
        raise document.error(path, "expected visible ASCII characters without blanks around them")


def _check_server(document: Document, entry: ServerEntry) -> None:
    check_key(document, "server.api_key", entry.api_key)
    if entry.ssl_keyfile is not None and entry.ssl_certfile is None:
        raise document.error("server.ssl_keyfile", "needs ssl_certfile beside it; without one nothing would be encrypted")
