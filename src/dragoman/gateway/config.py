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

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from dragoman.core.errors import ConfigurationError
from dragoman.core.http import Timeouts
from dragoman.gateway.cache_config import CacheEntry
from dragoman.gateway.governance.thrift import CheaperModels
from dragoman.gateway.gptrouter import entry as gptrouter_entry
from dragoman.gateway.models import ModelEntry, read_models
from dragoman.gateway.observing.entries import AlertsEntry, LogsEntry, MetricsEntry, RequestLogEntry, TelemetryEntry
from dragoman.gateway.provider_config import register
from dragoman.gateway.router_config import RouterEntry, make_policy, settings
from dragoman.gateway.stored.keys import configured
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
    """`api_key`, if set, must be shown by every client. `max_body_mb` bounds a request, `drain_seconds` a graceful stop.
    `workers`: processes that serve. `encryption_key`, or a file of it: 32 bytes in base64, with which credentials are encrypted
    before the database gets them; of several the first encrypts and all decrypt.
    """

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 4000
    api_key: str | None = None
    max_body_mb: Annotated[float, Meta(gt=0, le=4096)] = 32.0
    drain_seconds: Annotated[int, Meta(ge=0, le=86400)] = 30
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    encryption_key: str | tuple[str, ...] | None = None
    encryption_key_file: str | None = None


_Name = Annotated[str, Meta(min_length=1)]
_Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class OidcEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`issuer` and `audience` must be those of the token. Claims are named with dots where they lie inside others
    ("realm_access.roles"). `roles`: a value of the role claim -> ours; of several the furthest counts. A token without any of
    them has `default_role`; null refuses it.
    """

    issuer: _Name
    audience: _Name | tuple[_Name, ...]
    jwks_url: _Name | None = None
    algorithms: tuple[_Algorithm, ...] = ("RS256", "ES256")
    user_claim: _Name = "sub"
    team_claim: _Name | None = None
    role_claim: _Name | None = None
    roles: dict[_Name, Literal["admin", "viewer", "manager", "member", "reader"]] = {}
    default_role: Literal["viewer", "manager", "member", "reader"] | None = "reader"


class GovernanceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Virtual keys, budgets, limits and the ledger. `database`: a URL of SQLite or PostgreSQL. `journal`: a folder of this
    machine, where what calls did is safe until the database has it. `unpriced`: what becomes of a call whose price nobody
    knows, where a budget holds. `cheaper_models`: who is asked instead while a budget is nearly spent, for all who do not say
    otherwise. `end_users` (`gateway.end_users`, once read a scope): what those are under that have no record.
    `private_addresses`: whether models and credentials of the admin API may name hosts of private networks. `oidc`: tokens of
    this identity provider are keys too.
    """

    database: Annotated[str, Meta(min_length=1)] = "sqlite:///dragoman.db"
    journal: Annotated[str, Meta(min_length=1)] = "dragoman-journal"
    unpriced: Literal["refuse", "allow"] = "refuse"
    cheaper_models: CheaperModels | None = None
    end_users: Any = None
    private_addresses: Literal["refuse", "allow"] = "refuse"
    oidc: OidcEntry | None = None


class SharedEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Valkey or Redis server, by which several workers share limits, budgets and cooldowns. `url`: redis://, rediss:// or
    unix://. `prefix` begins the names of its keys: gateways that share nothing on one server take different ones.
    """

    url: Annotated[str, Meta(pattern="^(rediss?|unix)://")]
    prefix: Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")] = "dragoman"


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, as it is written. `strict`: a parameter that a provider does not take is an error, not a warning.

    `providers`: name -> `provider_config.ProviderEntry`, each read on its own so that errors name its line. So are the
    `guardrails` (`guardrails.config.Entry`), `passthrough` and `files` (`raw.entry.RawEntry`).
    """

    models: tuple[ModelEntry, ...] = ()
    providers: dict[Annotated[str, Meta(pattern="^[^/]+$")], Any] = {}
    server: ServerEntry = ServerEntry()
    timeouts: TimeoutsEntry = TimeoutsEntry()
    retries: Annotated[int, Meta(ge=0, le=100)] = 2
    strict: bool = False
    router: RouterEntry = RouterEntry()
    governance: GovernanceEntry | None = None
    gptrouter: gptrouter_entry.GPTRouterEntry | None = None
    shared: SharedEntry | None = None
    cache: CacheEntry | None = None
    guardrails: tuple[Any, ...] = ()
    passthrough: Any = None
    files: Any = None
    metrics: MetricsEntry = MetricsEntry()
    logs: LogsEntry = LogsEntry()
    telemetry: TelemetryEntry = TelemetryEntry()
    request_log: RequestLogEntry | None = None
    alerts: AlertsEntry | None = None

    @property
    def stores_models(self) -> bool:
        """Whether models may come by the admin API as well."""
        return self.governance is not None and self.server.encryption_key is not None


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
    register(document, config.providers)
    _check_server(document, config.server)
    config = with_governance(document, config, "server.api_key")
    config = _with_encryption(document, config, env)
    if config.gptrouter is not None:
        gptrouter_entry.check(document, config.gptrouter)
    if config.guardrails:
        from dragoman.gateway.guardrails import config as guardrails  # noqa: PLC0415 - many gateways have none

        config = replace(config, guardrails=guardrails.read(document, config.guardrails))
    if config.passthrough is not None or config.files is not None:
        config = _with_raw(document, config, env)
    if not (config.models or config.stores_models):
        raise document.error("models", "there is none; write one, or `- {name: '*', model: '*'}` for every provider with a key")
    policy = _policy(document, config, env)
    check_cheaper(document, config, policy)
    return config, policy


def with_governance(document: Document, config: Config, master: str) -> Config:
    """With what its `governance` says of end users. `master`: where the key stands that it needs."""
    entry = config.governance
    if entry is None:
        return config
    if config.server.api_key is None:
        raise document.error("governance", f"needs {master} beside it: the key that may issue the others")
    if entry.oidc is not None:
        _check_oidc(document, entry.oidc)
    if entry.end_users is None:
        return config
    from dragoman.gateway import end_users  # noqa: PLC0415 - many gateways confine none

    return replace(config, governance=replace(entry, end_users=end_users.read(document, entry.end_users)))


def _with_encryption(document: Document, config: Config, env: Mapping[str, str]) -> Config:
    """With the keys that are said here, in a file or in the environment."""
    server = config.server
    keys = configured(document, server.encryption_key, server.encryption_key_file, env)
    if config.governance is None and (server.encryption_key is not None or server.encryption_key_file is not None):
        raise document.error("server.encryption_key", "needs governance beside it: its database keeps what is encrypted")
    return replace(config, server=replace(server, encryption_key=keys or None))


def check_cheaper(document: Document, config: Config, policy: Policy) -> None:
    """Raises ConfigurationError for a stand-in that is not served."""
    entry = config.governance.cheaper_models if config.governance else None
    for dear, cheap in entry.models.items() if entry else ():
        if policy.find(cheap) is None:
            raise document.error(f"governance.cheaper_models.models.{dear}", f"no model here is called {cheap!r}")


def _with_raw(document: Document, config: Config, env: Mapping[str, str]) -> Config:
    from dragoman.gateway.raw import entry  # noqa: PLC0415 - many gateways pass nothing on

    if config.files is not None and config.server.api_key is None:
        raise document.error("files", "needs server.api_key beside it: the ids of files are signed with it")
    given = {name: getattr(config, name) for name in ("passthrough", "files")}
    guarded = bool(config.guardrails)
    read = {name: entry.read(document, value, name, env, guarded=guarded) for name, value in given.items() if value is not None}
    return replace(config, **read)


def _policy(document: Document, config: Config, env: Mapping[str, str]) -> Policy:
    models = read_models(document, config.models, config.router.aliases, env)
    chosen = settings(document, config.router, retries=config.retries)
    try:
        names = (entry.name for entry in config.models)
        return make_policy(models, chosen, names, growing=config.stores_models)
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


def _check_oidc(document: Document, entry: OidcEntry) -> None:
    """Whoever could answer in the issuer's place would decide who may come in."""
    for name, url in (("issuer", entry.issuer), ("jwks_url", entry.jwks_url)):
        if url is not None and not re.match(r"https://|http://(127\.0\.0\.1|localhost)([:/]|$)", url):
            raise document.error(f"governance.oidc.{name}", "expected an https URL")
