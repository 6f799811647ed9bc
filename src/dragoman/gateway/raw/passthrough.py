"""Raw pass-through: `/passthrough/PROVIDER/PATH` goes to the provider with its credential, as it is, and comes back so.

    passthrough: {providers: [openai, anthropic]}

`/openai/PATH`, `/anthropic/PATH` and their like, as LiteLLM has them, are the same for those that are named. The path begins
behind the provider's root: `/passthrough/openai/v1/models` is https://api.openai.com/v1/models.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from dragoman.core.errors import DragomanError, NotFoundError
from dragoman.dialects import openai_errors, registry
from dragoman.gateway import serving
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.raw.meaning import UNKNOWN
from dragoman.gateway.raw.passing import Passing
from dragoman.providers.base import Target

if TYPE_CHECKING:
    from dragoman.engine.call import CallOptions
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.pipeline import Pipeline

PREFIX = "/passthrough/"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SPELLINGS = frozenset({"openai", "anthropic", "gemini", "cohere", "mistral", "openrouter", "groq"})
"""Providers that may stand at the beginning of a path, where nothing else of ours does."""


class Passthrough:
    """`targets`: those that may be asked, by the name of the provider."""

    def __init__(self, pipeline: Pipeline, options: CallOptions, targets: dict[str, Target]) -> None:
        self._pipeline = pipeline
        self._options = options
        self._targets = targets

    def routes(self) -> serving.Routes:
        """Everything below `/passthrough/`, and below the names of the providers."""
        table = {(method, f"{PREFIX}*".encode()): serving.Route(self._handle) for method in METHODS}
        for name in SPELLINGS & self._targets.keys():
            route = serving.Route(self._handle, partial(_encoded, self._targets[name]))
            table |= {(method, f"/{name}/*".encode()): route for method in METHODS}
        return table

    def _handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        path = exchange.path.decode("latin-1").removeprefix(PREFIX.rstrip("/")).lstrip("/")
        name, _, rest = path.partition("/")
        target = self._targets.get(name)

        async def work(who: Identity | None) -> None:
            if target is None:
                known = ", ".join(sorted(self._targets))
                raise NotFoundError(f"nothing is passed on to {name[:80]!r}; there are: {known}", attempts=0)
            await passing.pass_on(who, target, f"/{rest}")

        passing = Passing(self._pipeline, self._options, exchange, UNKNOWN, partial(_encoded, target))
        return passing.run(work)


def _encoded(target: Target | None, error: DragomanError) -> bytes:
    """In the words of the provider's chat API, where we can say it in them."""
    name = "openai_chat" if target is None else target.provider.dialects.get("chat", "openai_chat")
    encode: Callable[[DragomanError], bytes] = getattr(registry.get(name), "encode_error", openai_errors.encode_error)
    return encode(error)
