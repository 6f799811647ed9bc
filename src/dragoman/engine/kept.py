"""Kept answers as the engine has them: read from a store in the course of a flow, and written with who gave them.

For the `lookup*` files alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from dragoman.caching import entries
from dragoman.caching.controls import Controls
from dragoman.caching.entries import Entry
from dragoman.caching.flights import Landing
from dragoman.caching.store import Found, Store
from dragoman.core.chat import Usage
from dragoman.core.http import HttpRequest
from dragoman.engine.call import Call, Settlement
from dragoman.engine.prepare import Prepared
from dragoman.engine.steps import Flow, Step
from dragoman.providers.base import Provider, Target
from dragoman.router.deployment import Deployment

logger = logging.getLogger("dragoman.cache")

NOTHING = Usage()
"""What a hit uses."""


class Look(Step, frozen=True):
    """Read from a store that has to be waited for. Comes back: what is there."""

    store: Store
    keys: Sequence[str]

    def perform(self, _: Any) -> Any:
        return self.store.read(self.keys)

    def aperform(self, _: Any) -> Any:
        return self.store.aread(self.keys)


class Join(Step, frozen=True):
    """Wait until an equal call is over. Comes back: None."""

    flight: Landing

    def perform(self, _: Any) -> Any:
        return self.flight.result()

    def aperform(self, _: Any) -> Any:
        return asyncio.shield(asyncio.wrap_future(self.flight))


class Kept(NamedTuple):
    entry: Entry
    response: Any


def look(store: Store, keys: Sequence[str], controls: Controls, now: float) -> Flow[list[Kept | None]]:
    """What is kept under each key, young enough for this call."""
    found: Found = store.read(keys) if store.instant else (yield Look(store, keys))
    return [_young(entries.unpack(data), controls, now) for data in found]


def _young(found: tuple[Entry, Any] | None, controls: Controls, now: float) -> Kept | None:
    if found is None or (controls.max_age is not None and now - found[0].created > controls.max_age):
        return None
    return Kept(*found)


def settled(call: Call, entry: Entry, response: Any) -> Prepared:
    """The call has ended with a kept answer. Comes back: what stands for the attempt that gave it."""
    call.warnings = call.notes + entry.warnings
    call.settle(Settlement(usage=NOTHING, response=response))
    target = Target(provider=Provider(name=entry.provider, base_url=None), model=entry.model, base_url=entry.base_url)
    return Prepared(
        deployment=Deployment(target, group=call.model, id=entry.deployment),
        request=HttpRequest(method="POST", url=entry.base_url),
        dialect=None,
        relay=False,
        warnings=entry.warnings,
    )


def packed(call: Call, response: Any, now: float) -> bytes | None:
    """The answer with who gave it; None for one that is not kept.

    Not kept is what a fallback answered, because the group itself would answer otherwise when it is back.
    """
    place = call.attempts[-1].deployment
    changed = call.session is not None and call.session.changes
    if changed or place.group != call.attempts[0].deployment.group or not entries.may_keep(response):
        return None
    target = place.target
    others = tuple(warning for warning in response.warnings if warning not in call.warnings)
    try:
        return entries.pack(
            replace(response, warnings=others),
            created=now,
            provider=target.provider.name,
            model=target.model,
            deployment=place.id,
            base_url=target.base_url,
            warnings=tuple(warning for warning in call.warnings if warning not in call.notes),
        )
    except (OverflowError, TypeError, ValueError, msgspec.MsgspecError) as problem:
        logger.warning("An answer of %s cannot be kept: %s", place.id, problem)
        return None
