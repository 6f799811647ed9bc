"""Credentials that are no static header: signatures and short-lived tokens, by the vendors' own libraries.

A row names its scheme (`Provider.authorizer`); the file of that name here is imported when it is first used, and its library
comes with an extra. Called by the engine, once for each attempt, with the request ready to send.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Protocol

from dragoman.core.errors import ConfigurationError
from dragoman.core.http import HttpRequest
from dragoman.providers.base import Target

_MODULES = {
    "aws": "dragoman.providers.auth.aws",
    "azure": "dragoman.providers.auth.azure",
    "google": "dragoman.providers.auth.google",
}


class Authorizer(Protocol):
    def ready(self, target: Target, now: float) -> bool:
        """Whether `authorize` will answer at once. Else it may read files or ask a token server: not on an event loop."""
        ...

    def authorize(self, request: HttpRequest, target: Target, now: float) -> HttpRequest:
        """The request with its credentials. `now` is Unix seconds. Raises AuthenticationError or ConfigurationError."""
        ...


@cache
def get(name: str) -> Authorizer:
    """The scheme called `name`. Raises ConfigurationError for an unknown one."""
    module = _MODULES.get(name)
    if module is None:
        raise ConfigurationError(f"no authorizer is called {name!r}; there are: {', '.join(sorted(_MODULES))}")
    authorizer: Authorizer = import_module(module).AUTHORIZER
    return authorizer
