"""The beginning of an answer, put into a request in the way that a provider wants it (`Prefill` of its row). Pure.

Where nothing is said, a last message of the assistant is all it takes. Called by `engine.prepare` for the rest of an answer
that broke off; what clients themselves send as a last message stays as they wrote it.
"""

from __future__ import annotations

from dragoman.core import json
from dragoman.providers.base import Prefill, Target


def marked(body: bytes, way: Prefill) -> bytes:
    """A request of the provider's dialect, whose last message is the beginning."""
    if not (way.message or way.body):
        return body
    fields = json.decode(body)
    fields["messages"][-1] |= way.message
    return json.encode(fields | way.body)


def reaches(target: Target) -> bool:
    """Whether the deployment can be asked for it: it may be offered at one place of the vendor's alone."""
    way = target.provider.prefill
    return way is None or not way.base_url or target.base_url in (target.provider.base_url, way.base_url)


def place(url: str, target: Target) -> str:
    """The address of a request at `target` -> where it is answered so. Never another vendor's, who has no right to the key."""
    way, row = target.provider.prefill, target.provider
    if way is None or not way.base_url or target.base_url != row.base_url:
        return url
    return way.base_url + url.removeprefix(target.base_url)
