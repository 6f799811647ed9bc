"""Where a request goes and which key it carries: a key belongs to a host. Pure; the environment is an argument.

A provider's key from the environment goes to that provider's own hosts and to the base URL that the provider's variable
names, and nowhere else. Any other host needs a key that the caller gives together with the base URL. Another provider's key
is never a substitute. Errors name variables and addresses, never a key. `registry.resolve` calls this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from dragoman.core.errors import AuthenticationError, BadRequestError, ConfigurationError
from dragoman.core.http import Headers
from dragoman.providers.base import Provider

_HOST = re.compile(r"([a-z0-9._-]|<[a-z0-9._-]+>)+|[0-9a-f:.]+(%[a-z0-9]+)?")
"""A label in angles stands in documented programs for one to be filled in; such a host is refused by whoever resolves it."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """A checked base URL without a slash at its end. `own`: it is the provider's, so the provider's key may go there."""

    url: str
    own: bool


class Key(NamedTuple):
    """`bearer`: a token that travels as `Authorization: Bearer`, whatever the row's own way."""

    value: str | None
    bearer: bool = False


def address(provider: Provider, given: str | None, env: Mapping[str, str]) -> Address:
    """`given`, else the first variable that is set, else the row's. ConfigurationError when there is none or a bad one."""
    if given:
        url = checked(given, provider, "base_url")
        return Address(url, origin(url) in own_origins(provider, env) or _of_vendor(url, provider))
    variable = first_set(provider.base_url_variables, env)
    if variable is not None:
        return Address(checked(env[variable], provider, variable), own=True)
    if provider.base_url is None:
        raise ConfigurationError(
            f"{provider.name} has no address of its own: pass base_url{_or_set(provider.base_url_variables)}"
        )
    return Address(filled(provider, env), own=True)


def key(provider: Provider, place: Address, given: str | None, env: Mapping[str, str], *, model: str) -> Key:
    """The key to send to `place`. Raises AuthenticationError, before any request, when one is needed and there is none."""
    if provider.auth == "none":
        return Key(None)
    if given and given.strip():
        return Key(_sendable(given, "api_key"))
    variables = provider.key_variables + provider.bearer_variables
    variable = first_set(variables, env) if place.own else None
    if variable is not None:
        return Key(_sendable(env[variable], variable), bearer=variable in provider.bearer_variables)
    if provider.key_optional or (provider.authorizer and place.own):
        return Key(None)
    if place.own:
        message = f"{provider.name} needs a key: pass api_key{_or_set(variables)}"
    else:
        message = (
            f"no key for {place.url}: keys of {provider.name} in the environment go to {_homes(provider, env)} only; "
            "pass api_key together with base_url"
        )
    raise AuthenticationError(message, llm_provider=provider.name, model=model, attempts=0)


def check_signing(provider: Provider, place: Address, secrets: Mapping[str, str], given: str | None) -> None:
    """Whether these are all that the row's authorizer needs, and go to its vendor. Raises ConfigurationError."""
    needed, more = SIGNED_WITH.get(provider.authorizer, ((), ()))
    strange = next((name for name in secrets if name not in (*needed, *more)), None)
    if strange is not None:
        raise ConfigurationError(f"{strange}: {provider.name} does not take this; pass api_key")
    missing = [name for name in needed if not secrets.get(name, "").strip()]
    if missing:
        raise ConfigurationError(f"{missing[0]}: missing; {', '.join(needed)} belong together")
    if given:
        raise ConfigurationError(f"api_key: goes before {', '.join(secrets)}; leave one out")
    if not place.own:
        raise ConfigurationError(f"{next(iter(secrets))}: is for {_homes(provider, {})} only, not for {place.url}")
    for name, value in secrets.items():
        if not value.startswith("{"):  # the one that is JSON stands in no header
            _sendable(value, name)


SIGNED_WITH: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "aws": (("aws_access_key_id", "aws_secret_access_key"), ("aws_session_token",)),
    "google": (("vertex_credentials",), ()),
}
"""Authorizer -> the secrets of one deployment that it can sign with, by LiteLLM's names: all of the first, none or all of the
others.
"""


def own_headers(provider: Provider, place: Address, env: Mapping[str, str]) -> Headers:
    """What the environment tells the provider about the caller (an organisation, a site); for its own hosts only."""
    if not place.own:
        return ()
    names = provider.header_variables
    return tuple((names[name], _sendable(env[name], name)) for name in names if first_set((name,), env))


def missing(provider: Provider, env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables to set before `provider` can be asked; of several that would do, the first."""
    lacking: list[str] = []
    if not (provider.key_optional or provider.authorizer or provider.auth == "none"):
        variables = provider.key_variables + provider.bearer_variables
        lacking += [] if first_set(variables, env) else variables[:1]
    if provider.base_url is None and not first_set(provider.base_url_variables, env):
        lacking += provider.base_url_variables[:1]
    if not first_set(provider.base_url_variables, env):
        lacking += [names[0] for place, names in provider.url_variables.items() if _filling(provider, place, env) is None]
    return tuple(lacking)


def filled(provider: Provider, env: Mapping[str, str]) -> str:
    """The row's base URL with its placeholders filled from the environment. Raises ConfigurationError that names a variable."""
    url = _fill(provider.base_url or "", provider, env)
    plain = next((beginning for beginning in provider.url_exceptions if url.startswith(beginning)), "")
    return provider.url_exceptions.get(plain, "") + url.removeprefix(plain)


def has_version(provider: Provider, url: str | None) -> bool:
    """Whether a request to the base URL `url` (None: the provider's own) names the version of an API."""
    under = provider.own_paths_under
    return "api_version" in provider.url_variables and not (under and url and url.rstrip("/").endswith(under))


def at_version(provider: Provider, url: str, version: str, env: Mapping[str, str]) -> dict[str, str]:
    """The environment as if its variable named this version. Raises BadRequestError where a request would not name it."""
    if not has_version(provider, url):
        message = f"api_version: requests to {provider.name} at {url} name no version; leave it out"
        raise BadRequestError(message, llm_provider=provider.name, attempts=0)
    if not _LABEL.fullmatch(version):
        message = f"api_version: expected a text such as '2024-10-21', found {version!r}"
        raise BadRequestError(message, llm_provider=provider.name, attempts=0)
    return {**env, provider.url_variables["api_version"][0]: version}


def paths(provider: Provider, url: str, model: str, env: Mapping[str, str]) -> dict[str, str]:
    """The row's paths under the base URL `url`, with their placeholders filled; `model` may hold any character."""
    if provider.own_paths_under and url.endswith(provider.own_paths_under):
        return {}
    name = quote(model, safe="")
    return {operation: _fill(path, provider, env).replace("{model}", name) for operation, path in provider.paths.items()}


def _fill(text: str, provider: Provider, env: Mapping[str, str]) -> str:
    for place, variables in provider.url_variables.items():
        mark = f"{{{place}}}"
        if mark not in text:
            continue
        value = _filling(provider, place, env)
        if value is None:
            raise ConfigurationError(f"{provider.name} needs its {place}: pass base_url{_or_set(variables)}")
        if not _LABEL.fullmatch(value):
            raise ConfigurationError(f"{first_set(variables, env)}: expected letters, digits and hyphens, found {value[:80]!r}")
        text = text.replace(mark, value)
    return text


def _filling(provider: Provider, place: str, env: Mapping[str, str]) -> str | None:
    variable = first_set(provider.url_variables[place], env)
    return env[variable].strip() if variable is not None else provider.url_defaults.get(place)


def first_set(variables: tuple[str, ...], env: Mapping[str, str]) -> str | None:
    """The first of the variables that holds more than blanks."""
    return next((name for name in variables if env.get(name, "").strip()), None)


def checked(url: str, provider: Provider, source: str) -> str:
    """`url` ready for a path to be put after it. Raises ConfigurationError that names `source`, where the URL was said."""
    url = url.strip()
    parts = _parts(url, source)
    if parts.scheme not in {"http", "https", (provider.base_url or "https").partition(":")[0]}:
        raise ConfigurationError(f"{source}: expected a URL that begins with https:// or http://, found {_shown(url)!r}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"{source}: a name and password do not belong into {_shown(url)!r}; pass api_key")
    if "?" in url or "#" in url or not _HOST.fullmatch(parts.hostname or ""):
        raise ConfigurationError(f"{source}: expected a host and a path and nothing after it, found {_shown(url)!r}")
    path = parts.path.rstrip("/") or provider.default_path
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what a key is bound to. http is another origin than https, so no key goes out in the clear."""
    parts = urlsplit(url)
    port = _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    return parts.scheme, parts.hostname or "", port


def own_origins(provider: Provider, env: Mapping[str, str]) -> set[tuple[str, str, int | None]]:
    """The origins to which keys of `provider` from the environment may go."""
    origins = {origin(f"https://{host}") for host in provider.hosts if "*" not in host}
    if provider.base_url is not None:
        origins |= _filled_origin(provider, env)
    variable = first_set(provider.base_url_variables, env)
    if variable is not None:
        origins.add(origin(checked(env[variable], provider, variable)))
    return origins


def _of_vendor(url: str, provider: Provider) -> bool:
    """Whether the address is one of the patterns among the row's hosts."""
    scheme, host, port = origin(url)
    patterns = (re.escape(name).replace(r"\*", "[a-z0-9-]+") for name in provider.hosts if "*" in name)
    return (scheme, port) == ("https", 443) and any(re.fullmatch(pattern, host) for pattern in patterns)


def _filled_origin(provider: Provider, env: Mapping[str, str]) -> set[tuple[str, str, int | None]]:
    """None while a placeholder lacks its value: such a provider has no host yet."""
    try:
        return {origin(filled(provider, env))}
    except ConfigurationError:
        return set()


def _parts(url: str, source: str) -> SplitResult:
    if any(character <= " " or character == "\x7f" for character in url):  # urlsplit takes some of them out without a word
        raise ConfigurationError(f"{source}: blanks and control characters do not belong into a URL, found {_shown(url)!r}")
    try:
        parts = urlsplit(url)
        _ = parts.port  # read, because only reading checks it
    except ValueError:
        raise ConfigurationError(f"{source}: this is no URL: {_shown(url)!r}") from None
    return parts


def _shown(url: str) -> str:
    """A URL for people, without what may be a secret: name and password, query, fragment."""
    _, found, after = re.split("[?#]", url, maxsplit=1)[0].rpartition("@")
    return f"...@{after}" if found else after


def _sendable(value: str, source: str) -> str:
    stripped = value.strip()
    if not (stripped.isascii() and stripped.isprintable()):
        raise ConfigurationError(f"{source}: it holds a line break or another character that no header can carry")
    return stripped


def _or_set(variables: tuple[str, ...]) -> str:
    if not variables:
        return ""
    return f", or set {variables[0]}" if len(variables) == 1 else f", or set one of {', '.join(variables)}"


def _homes(provider: Provider, env: Mapping[str, str]) -> str:
    return " or ".join(sorted(f"{scheme}://{host}" for scheme, host, _ in own_origins(provider, env))) or "no host yet"
