"""One call to any language model: an SDK and a gateway that speak every provider's dialect.

    import dragoman
    dragoman.completion("local/smollm2-135m", [{"role": "user", "content": "What is the capital of France?"}])

Names are resolved when they are first used, so `import dragoman` costs next to nothing. `import dragoman as litellm` works
for what is listed here. Settings are attributes: `drop_params`, `num_retries`, `request_timeout`, `api_key`, `api_base`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.client.client import AsyncClient as AsyncClient
    from dragoman.client.client import Client as Client
    from dragoman.client.functions import acompletion as acompletion
    from dragoman.client.functions import aembedding as aembedding
    from dragoman.client.functions import completion as completion
    from dragoman.client.functions import embedding as embedding
    from dragoman.client.objects import EmbeddingResponse as EmbeddingResponse
    from dragoman.client.objects import ModelResponse as ModelResponse
    from dragoman.client.objects import ModelResponseStream as ModelResponseStream
    from dragoman.client.streams import AsyncCompletionStream as AsyncCompletionStream
    from dragoman.client.streams import CompletionStream as CompletionStream
    from dragoman.core.errors import *  # noqa: F403 - the error tree, listed below
    from dragoman.core.http import Timeouts as Timeouts
    from dragoman.providers.base import Provider as Provider
    from dragoman.providers.base import Quirks as Quirks

__version__ = "0.1.0"

drop_params: bool | None = None
"""None: what a provider does not take is left out and reported in `response.warnings`. False: it is an error."""
num_retries: int | None = None
request_timeout: float | None = None
api_key: str | None = None
api_base: str | None = None

_HOMES = {
    "dragoman.client.functions": ("acompletion", "aembedding", "completion", "embedding"),
    "dragoman.client.client": ("AsyncClient", "Client"),
    "dragoman.client.objects": ("EmbeddingResponse", "ModelResponse", "ModelResponseStream"),
    "dragoman.client.streams": ("AsyncCompletionStream", "CompletionStream"),
    "dragoman.core.http": ("Timeouts",),
    "dragoman.providers.base": ("Provider", "Quirks"),
    "dragoman.core.errors": (
        "APIConnectionError",
        "APIStatusError",
        "AuthenticationError",
        "BadGatewayError",
        "BadRequestError",
        "CallError",
        "ConfigurationError",
        "ConflictError",
        "ContentPolicyViolationError",
        "ContextWindowExceededError",
        "DragomanError",
        "InternalServerError",
        "NotFoundError",
        "PaymentRequiredError",
        "PermissionDeniedError",
        "RateLimitError",
        "RequestTooLargeError",
        "ResponseDecodeError",
        "ServiceUnavailableError",
        "StreamInterruptedError",
        "Timeout",
        "UnprocessableEntityError",
        "UnsupportedParamsError",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(["__version__", *_HOME_OF])  # noqa: PLE0605 - a list of names, made from the table above


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'dragoman' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return __all__
