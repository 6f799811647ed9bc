"""What is loaded with the first model that is made: the SDK, the dialect that calls are written in, and its HTTP client.

An import of the classes need not wait for them, and a call must not: on an event loop, loading a module blocks all others.
Called when a model is made.
"""

from __future__ import annotations

from importlib import import_module

_MODULES = ("dragoman.client.functions", "dragoman.dialects.openai_chat", "dragoman.transport.http_async", "httpcore2")
"""The last is what httpx2 loads when its first connection is opened."""


def load_engine() -> None:
    """The second time this is a few look-ups."""
    for name in _MODULES:
        import_module(name)
