"""Google Cloud: tokens by google-auth's chain (service-account file, gcloud's login, workload identity, the metadata server).

A target's own account goes first, then VERTEXAI_CREDENTIALS (each a path, or the JSON itself), then the default chain. A token
is kept until shortly before it ends, and fetched in a thread; where two are fetched at once, both are good. A key or a token
that somebody gives is static and never comes here. Called by the engine through `auth.get("google")`.
https://cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import AuthenticationError, ConfigurationError
from dragoman.core.http import HttpRequest
from dragoman.providers.base import Target

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CREDENTIALS_VARIABLE = "VERTEXAI_CREDENTIALS"

_BROUGHT = "vertex_credentials"
_MOST = 1000
"""Accounts of targets that are remembered."""
_MARGIN = 300.0
"""Seconds before the end of a token from which on a new one is asked for."""

_ADVICE = (
    f"set GOOGLE_APPLICATION_CREDENTIALS or {CREDENTIALS_VARIABLE} to the file of a service account, run "
    "`gcloud auth application-default login`, or give the machine a service account"
)


class _Token(NamedTuple):
    """Set as one value, so that another thread never meets half of it. `project` is billed, if it is not the one asked."""

    value: str
    expires: float
    project: str | None


class _Account:
    """Credentials of google-auth's, or those that `env` and the machine hold, when they are first needed; and their token."""

    def __init__(self, credentials: Any, env: Mapping[str, str]) -> None:
        self._credentials = credentials
        self._env = env
        self._token = _Token("", 0.0, None)

    def fresh(self, now: float) -> bool:
        return now < self._token.expires - _MARGIN

    def token(self, target: Target, now: float) -> _Token:
        return self._token if self.fresh(now) else self._renewed(target)

    def _renewed(self, target: Target) -> _Token:
        """The library's clock decides whether its own token still holds, so a new one is always asked for here."""
        try:
            from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - for those who use it
            from google.auth.transport.urllib3 import Request  # noqa: PLC0415 - as above
        except ImportError as problem:
            raise ConfigurationError(
                "tokens of Google Cloud come with google-auth and urllib3, which are not installed: "
                "pip install 'dragoman[google]', or set VERTEXAI_ACCESS_TOKEN"
            ) from problem
        try:
            credentials = self._loaded()
            credentials.refresh(_pooled(Request))
        except GoogleAuthError as problem:
            message = f"{target.provider.name}: Google gave no token ({type(problem).__name__}: {_first(problem)}): {_ADVICE}"
            raise AuthenticationError(message, llm_provider=target.provider.name, model=target.model, attempts=0) from problem
        expires = credentials.expiry.replace(tzinfo=UTC).timestamp() if credentials.expiry else 0.0
        self._token = _Token(credentials.token, expires, getattr(credentials, "quota_project_id", None))
        return self._token

    def _loaded(self) -> Any:
        if self._credentials is None:
            named = self._env.get(CREDENTIALS_VARIABLE, "").strip()
            self._credentials = _of_account(_account(named)) if named else _default()
        return self._credentials


class GoogleAuthorizer:
    """`credentials`: google-auth's own; without them, those of `env` and the machine. Targets may bring others."""

    def __init__(self, credentials: Any = None, env: Mapping[str, str] = os.environ) -> None:
        self._own = _Account(credentials, env)
        self._accounts: dict[str, _Account] = {}

    def ready(self, target: Target, now: float) -> bool:
        """There is one token of an account for every project and region."""
        brought = target.secrets.get(_BROUGHT)
        account = self._own if brought is None else self._accounts.get(brought)
        return account is not None and account.fresh(now)

    def authorize(self, request: HttpRequest, target: Target, now: float) -> HttpRequest:
        token = self._account_of(target).token(target, now)
        billed = {} if token.project is None else {"x-goog-user-project": token.project}
        added = (("authorization", f"Bearer {token.value}"), *billed.items())
        headers = tuple(pair for pair in request.headers if pair[0] not in dict(added))
        return replace(request, headers=(*headers, *added))

    def _account_of(self, target: Target) -> _Account:
        brought = target.secrets.get(_BROUGHT)
        if brought is None:
            return self._own
        account = self._accounts.get(brought)
        if account is None:
            if len(self._accounts) >= _MOST:
                self._accounts.pop(next(iter(self._accounts)), None)
            account = self._accounts[brought] = _Account(None, {CREDENTIALS_VARIABLE: brought})
        return account


def _default() -> Any:
    import google.auth  # noqa: PLC0415 - for those who use it

    library: Any = google.auth  # its functions are typed in part
    return library.default(scopes=[SCOPE])[0]


_KINDS = {
    "service_account": ("google.oauth2.service_account", "from_service_account_info"),
    "authorized_user": ("google.oauth2.credentials", "from_authorized_user_info"),
    "external_account": ("google.auth.identity_pool", "from_info"),
}
"""`type` of a credential -> the library's module for it, and what makes one there."""


def _of_account(account: dict[str, Any]) -> Any:
    kind = account.get("type")
    if kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise ConfigurationError(f"{CREDENTIALS_VARIABLE}: expected a credential of type {known}, found {str(kind)[:40]!r}")
    module, make = _KINDS[kind]
    try:
        return getattr(import_module(module).Credentials, make)(account, scopes=[SCOPE])
    except ValueError as problem:  # a field is missing, or the key is none
        raise ConfigurationError(f"{CREDENTIALS_VARIABLE}: the credential cannot be read ({type(problem).__name__})") from None


def _account(named: str) -> dict[str, Any]:
    """The JSON, given or in a file. Says where the mistake is, and nothing of what stands there."""
    try:
        held = json.decode(named.encode() if named.startswith("{") else Path(named).read_bytes())
    except OSError as problem:
        raise ConfigurationError(f"{CREDENTIALS_VARIABLE}: {named[:200]} cannot be read: {problem.strerror}") from None
    except (json.DecodeError, UnicodeDecodeError):
        held = None
    if not isinstance(held, dict):
        raise ConfigurationError(f"{CREDENTIALS_VARIABLE}: expected a path or the JSON object of a credential")
    return held


def _pooled(make: Any) -> Any:
    from urllib3 import PoolManager  # noqa: PLC0415 - as above

    return make(PoolManager())


def _first(problem: Exception) -> str:
    """The message; further arguments of the library's errors are the bodies that it got."""
    return str(problem.args[0]) if problem.args else "no reason was given"


AUTHORIZER = GoogleAuthorizer()
