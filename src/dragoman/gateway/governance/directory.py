"""Who is known: identities by the hash of their key, and the scopes of end users and tags. Filled from the store, bounded.

`find` is asked on every request and answers from memory. `load` and `prepare` ask the store, once for a key until something
above it is changed. Called by `governance` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from dragoman.core.errors import InvalidKeyError, PermissionDeniedError
from dragoman.gateway.governance import keys, windows
from dragoman.gateway.governance.budgets import Book, Budget, CounterKey
from dragoman.gateway.governance.identity import Identity
from dragoman.gateway.governance.scopes import Reference, Scope
from dragoman.gateway.governance.thrift import Thrift

MAX_IDENTITIES = 200_000
MAX_SCOPES = 100_000
_BESIDE = frozenset({"end_user", "tag", "budget"})
"""Kinds of what may stand beside an identity in a plan."""


Over = Mapping[CounterKey, tuple[Budget, ...]]
"""Counters and the budgets over them."""


class FoundKey(NamedTuple):
    """A key by one of its hashes; `until`: when that hash ends, Unix seconds, None when it does not."""

    digest: str
    scope: Scope
    until: float | None


class Reader(Protocol):
    """What is asked of a store here."""

    async def key(self, digest: str) -> FoundKey | None: ...
    async def scopes(self, references: Iterable[Reference]) -> Mapping[Reference, Scope]: ...
    async def spent(self, counters: Iterable[CounterKey]) -> Mapping[CounterKey, int]: ...


class Directory:
    """`generation` counts changes of end users and tags: a plan of an older one is stale. `default` makes the scope of
    an end user or tag that the store does not have, or None. `thrift` holds for scopes that have none of their own.
    """

    def __init__(
        self,
        store: Reader,
        book: Book,
        *,
        default: Callable[[Reference], Scope | None] = lambda _: None,
        thrift: Thrift | None = None,
        most: int = MAX_IDENTITIES,
    ) -> None:
        self._most = most
        self._trusted: dict[str, Identity] = {}
        self._default = default
        self._thrift = thrift
        self._store = store
        self._book = book
        self._identities: dict[str, Identity] = {}
        self._made_of: dict[Reference, set[str]] = {}
        self._scopes: dict[Reference, Scope | None] = {}
        self._heard = 0
        self.generation = 0

    def add(self, identity: Identity) -> None:
        """Keep an identity; the oldest one goes when there are too many."""
        if identity.digest in self._identities:
            self._remove(identity.digest)
        elif len(self._identities) >= self._most:
            oldest = self._remove(next(iter(self._identities)))
            self._book.forget(*oldest.key.reference)
        self._identities[identity.digest] = identity
        for reference in identity.references:
            self._made_of.setdefault(reference, set()).add(identity.digest)

    def trust(self, identity: Identity) -> None:
        """One that no store has, and that is never forgotten."""
        self._trusted[identity.digest] = identity
        self.add(identity)

    def find(self, digest: str) -> Identity | None:
        return self._identities.get(digest)

    def scope(self, reference: Reference) -> Scope | None:
        """A scope that was loaded; None when the store has none. Raises KeyError when nobody has asked the store."""
        return self._scopes[reference]

    def knows(self, references: Iterable[Reference]) -> bool:
        return all(reference in self._scopes for reference in references)

    async def load(self, digest: str, now: float) -> Identity:
        """The identity of a key, out of the store. Raises InvalidKeyError when there is no such key."""
        if digest in self._trusted:
            self.add(self._trusted[digest])
            return self._trusted[digest]
        heard = self._heard
        found = await self._store.key(digest)
        if found is None or not keys.same(found.digest, digest):
            raise InvalidKeyError("the API key is not known here")
        above = await self._store.scopes(found.scope.parents)
        missing = [kind for kind, _ in _missing(found.scope, above)]
        if missing:
            raise InvalidKeyError(f"the {missing[0]} of this API key is no longer there")
        return await self._made(found, above, heard, now)

    async def vouched(self, found: FoundKey, now: float) -> Identity:
        """The identity of a key that no store has: somebody else vouches for it. Its user need not be known here.

        Raises PermissionDeniedError where its team is not.
        """
        heard = self._heard
        above = await self._store.scopes(found.scope.parents)
        missing = [id_ for kind, id_ in _missing(found.scope, above) if kind != "user"]
        if missing:
            raise PermissionDeniedError(f"the team {missing[0]!r} of this token is not known here", attempts=0)
        return await self._made(found, above, heard, now)

    async def _made(self, found: FoundKey, above: Mapping[Reference, Scope], heard: int, now: float) -> Identity:
        key = found.scope
        found_above = [above[reference] for reference in key.parents if reference in above]
        held, templates = await self._completed((*found_above, key))
        await self._seed(held, now)
        await self.prepare([Reference("tag", tag) for scope in held for tag in scope.tags], now)
        identity = Identity(found.digest, held, found.until, templates | set(key.parents))
        if heard == self._heard:  # else it may be stale already: good for this request, not to be kept
            self.add(identity)
        return identity

    async def prepare(self, references: Iterable[Reference], now: float) -> None:
        """Load the scopes of end users and tags, so that `scope` answers."""
        wanted = [reference for reference in references if reference not in self._scopes]
        if not wanted:
            return
        stored = await self._store.scopes(wanted)
        scopes = [stored.get(reference) or self._default(reference) for reference in wanted]
        held, _ = await self._completed(tuple(scope for scope in scopes if scope is not None))
        await self._seed(held, now)
        found = {scope.reference: scope for scope in held}
        for reference in wanted:
            if len(self._scopes) >= MAX_SCOPES:
                oldest = next(iter(self._scopes))
                del self._scopes[oldest]
                self._book.forget(*oldest)
            self._scopes[reference] = found.get(reference)

    async def over(self, charges: Iterable[CounterKey], began: float) -> Over:
        """The budgets over these counters, of calls that began then: out of the store, and nothing of it is kept."""
        references = list(dict.fromkeys(Reference(key.kind, key.id) for key in charges))
        stored = await self._store.scopes(references)
        scopes = [stored.get(reference) or self._default(reference) for reference in references]
        held, _ = await self._completed(tuple(scope for scope in scopes if scope is not None))
        found: dict[CounterKey, tuple[Budget, ...]] = {}
        for scope in held:
            for budget in scope.budgets:
                key = CounterKey(scope.kind, scope.id, budget.part, windows.window(budget.span, began).id)
                found[key] = (*found.get(key, ()), budget)
        return found

    def changed(self, references: Iterable[Reference]) -> None:
        """Forget what is made of these scopes."""
        for reference in set(references):
            self._heard += 1
            for digest in list(self._made_of.get(reference, ())):
                self._remove(digest)
            if reference.kind == "budget":
                self._scopes.clear()
            if reference.kind in _BESIDE:
                self._scopes.pop(reference, None)
                self.generation += 1

    def _remove(self, digest: str) -> Identity:
        identity = self._identities.pop(digest)
        for reference in identity.references:
            digests = self._made_of[reference]
            digests.discard(digest)
            if not digests:
                del self._made_of[reference]
        return identity

    async def _completed(self, held: tuple[Scope, ...]) -> tuple[tuple[Scope, ...], frozenset[Reference]]:
        """The scopes with what their templates and the gateway itself say, and those templates."""
        wanted = frozenset(Reference("budget", scope.template) for scope in held if scope.template)
        if wanted:
            found = await self._store.scopes(wanted)
            held = tuple(_with(scope, found.get(Reference("budget", scope.template))) for scope in held)
        if self._thrift is not None:
            held = tuple(scope if scope.thrift else msgspec.structs.replace(scope, thrift=self._thrift) for scope in held)
        return held, wanted

    async def _seed(self, held: tuple[Scope, ...], now: float) -> None:
        """Bring what was spent already into the counters of these scopes."""
        counters = [self._book.counter(scope.kind, scope.id, "", "", now) for scope in held]
        for scope in held:
            counters += [self._book.counter(scope.kind, scope.id, budget.part, budget.span, now) for budget in scope.budgets]
        unknown = [counter for counter in counters if not counter.known]
        if not unknown:
            return
        spent = await self._store.spent({counter.key for counter in unknown})
        for counter in unknown:
            if not counter.known:  # nobody else has read it meanwhile
                counter.stored = spent.get(counter.key, 0)
                counter.known = True


def _missing(key: Scope, above: Mapping[Reference, Scope]) -> list[Reference]:
    """What it is said to be in and is not there. A member is only where somebody gave it something of its own."""
    return [reference for reference in key.parents if reference not in above and reference.kind != "member"]


def _with(scope: Scope, template: Scope | None) -> Scope:
    if template is None:
        return scope
    both = {"budgets": scope.budgets + template.budgets, "limits": scope.limits + template.limits}
    return msgspec.structs.replace(scope, **both, thrift=scope.thrift or template.thrift)
