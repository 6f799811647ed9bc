"""Governance on a request's way: who asks, may they, and the hold that ends with the call. Called by the pipeline.

What is known in memory is answered at once; for the rest there are the two coroutines, which ask the store. Everything raises
the errors of `governance`: InvalidKeyError, PermissionDeniedError, BudgetExceededError, RateLimitExceededError.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dragoman.gateway.governance.facts import Facts, facts_of, tags_of
from dragoman.gateway.subject import session_of
from dragoman.shared.accounts import LeaseNeededError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dragoman.engine.call import Call
    from dragoman.gateway.exchange import Exchange
    from dragoman.gateway.governance.governance import Governance
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.governance.thrift import StandIn

END_USER, TAGS = b"x-dragoman-end-user", b"x-dragoman-tags"


class Admission:
    """`governance` is that of this worker."""

    def __init__(self, governance: Governance) -> None:
        self.governance = governance

    def identify(self, exchange: Exchange) -> Identity | None:
        """Who asks; None when the store has to be asked."""
        return self.governance.identify(exchange.header, time.time())

    async def load(self, header: Callable[[bytes], bytes | None], client: str) -> Identity:
        """Who asks, from memory or out of the store. `client`: host:port."""
        governance, now = self.governance, time.time()
        return governance.identify(header, now) or await governance.load(header, client.rpartition(":")[0], now)

    def stand_in(self, who: Identity, call: Call, exchange: Exchange) -> StandIn | None:
        """A cheaper model to ask in place of the call's. Raises PermissionDeniedError where that one may not be asked."""
        found = who.stand_in(call.model, tags_of(call, _tags(exchange)), self.governance.book, time.time())
        if found is not None:
            who.check_call(call.model, call.operation, exchange.path.decode("latin-1"))
        return found

    def admit(self, who: Identity, call: Call, exchange: Exchange, identity: bytes) -> bool:
        """Hold what the call may cost until it settles. False: the store has to be asked first, or the other workers."""
        facts = self._facts(call, exchange, identity)
        if not self.governance.ready(who, facts):
            return False
        return self._hold(who, facts, call) is None

    async def admit_late(self, who: Identity, call: Call, exchange: Exchange, identity: bytes) -> None:
        """As `admit`, whoever has to be asked."""
        facts = self._facts(call, exchange, identity)
        if not self.governance.ready(who, facts):
            await self.governance.prepare(who, facts, time.time())
        while (needed := self._hold(who, facts, call)) is not None:
            await self.governance.lease(needed)

    def _hold(self, who: Identity, facts: Facts, call: Call) -> LeaseNeededError | None:
        """What has to be leased first, if anything; else it is held."""
        now = time.time()
        try:
            hold = self.governance.admit(who, facts, now)
        except LeaseNeededError as needed:
            return needed
        if hold.taken:
            call.headers += self.governance.headers(hold, now)
        call.watch(self.governance.observer(hold, time.time))
        return None

    def _facts(self, call: Call, exchange: Exchange, identity: bytes) -> Facts:
        return facts_of(
            call,
            self.governance.prices,
            route=exchange.path.decode("latin-1"),
            request_id=identity.decode("latin-1"),
            client=exchange.client,
            end_user=(exchange.header(END_USER) or b"").decode("latin-1"),
            session=session_of(exchange) or "",
            tags=_tags(exchange),
        )


def _tags(exchange: Exchange) -> str:
    return (exchange.header(TAGS) or b"").decode("latin-1")
