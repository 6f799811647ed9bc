"""Candidates that were found -> one Call of the engine, with the router's session that chooses among them.

Those that are slow or down go to the end (`standing`). The first is the group that is asked, the others are its fallbacks, with
what their bodies have different; `rounds` goes through them again where the request has retries for it. Where a
request wants what a session cannot be told (a few of a group's deployments, a time limit of one candidate, one group twice),
the deployments are asked in their order. Who is asked, and again, is the router's to decide in both cases.
"""

from __future__ import annotations

from functools import partial
from random import Random
from time import perf_counter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import BadRequestError
from dragoman.engine.call import Call, CallOptions
from dragoman.engine.prepare import carried_as
from dragoman.engine.request_facts import request_facts
from dragoman.gateway.gptrouter.directory import Found
from dragoman.gateway.gptrouter.rounds import Rounds, Turns
from dragoman.gateway.gptrouter.standing import standing
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Sessionlike
from dragoman.router.fallback import Hop
from dragoman.router.policy import Policy
from dragoman.router.state import RequestFacts

_RNG = Random()  # noqa: S311 - which deployment is asked is no secret


class Place(Struct, frozen=True, kw_only=True):
    """Where to ask, and the whole body it is to be asked, without the model. `limit`: seconds of one attempt there."""

    found: Found
    body: dict[str, Any]
    limit: float | None = None


class Wish(Struct, frozen=True, kw_only=True):
    """What is asked: `places` in order. `seconds` for all of it; `retries`: further attempts when each place had its own, None:
    as configured for a lone place, and of several each takes the others' place.
    """

    operation: str
    dialect: str
    places: tuple[Place, ...]
    stream: bool | None = None
    seconds: float | None = None
    retries: int | None = None


def make_call(wish: Wish, policy: Policy, options: CallOptions) -> Call:
    """Raises BadRequestError for an operation that the first candidate's provider does not offer."""
    carried_as(wish.places[0].found.deployments[0].target.provider, wish.operation)
    now = perf_counter()
    places = sorted(wish.places, key=lambda place: standing(policy, place.found.group, place.found.deployments, now))
    wish = replace(wish, places=tuple(places))
    make = _with_session if _plain(wish.places) else _in_order
    return make(wish, policy, replace(_in_time(options, wish), relay=False))


def _plain(places: tuple[Place, ...]) -> bool:
    """Whether a session can be told of all of it."""
    groups = {place.found.group for place in places}
    return len(groups) == len(places) and all(place.found.whole and place.limit is None for place in places)


def _with_session(wish: Wish, policy: Policy, options: CallOptions) -> Call:
    first, *others = wish.places
    most = policy.settings.fallbacks.most
    if len(others) > most:
        raise BadRequestError(f"data: {len(wish.places)} candidates, and router.max_fallbacks allows {most} after the first")
    body = _body(wish, first.body)
    envelope = json.decode_envelope(json.encode(body))
    facts = request_facts(
        envelope,
        first.found.group,
        stream=bool(wish.stream),
        fallbacks=tuple(Hop(place.found.group, _differing(first.body, place.body)) for place in others) or None,
        retries=wish.retries if not others else max(len(place.found.deployments) for place in wish.places) - 1,
        deadline=None if wish.seconds is None else perf_counter() + wish.seconds,
    )
    places = tuple(deployment for place in wish.places for deployment in place.found.deployments)
    return _call(wish, body, places, options, _session(policy, facts, wish.retries if others else None))


def _session(policy: Policy, facts: RequestFacts, retries: int | None) -> Sessionlike:
    begin = partial(policy.begin, facts, _RNG)
    if not retries:
        return begin()
    return Rounds(begin, policy.group(facts.group).retry_budget, policy.settings.retry, retries=retries, rng=_RNG)


def _in_order(wish: Wish, _: Policy, options: CallOptions) -> Call:
    """What all bodies say alike is the body, and what each has of its own are defaults of its deployments."""
    bodies = [place.body for place in wish.places]
    common = {key: value for key, value in bodies[0].items() if all(key in body and body[key] == value for body in bodies)}
    places = tuple(_on_terms(place, deployment, common) for place in wish.places for deployment in place.found.deployments)
    usual = options.retry.max_retries if len(wish.places) == 1 else 0
    retries = usual if wish.retries is None else wish.retries
    retry = replace(options.retry, max_retries=retries + len(places) - 1)
    return _call(wish, _body(wish, common), places, options, Turns(places, retry, _RNG))


def _call(wish: Wish, body: dict[str, Any], places: tuple[Deployment, ...], options: CallOptions, session: Sessionlike) -> Call:
    return Call(
        operation=wish.operation,
        dialect=wish.dialect,
        model=body["model"],
        body=json.encode(body),
        deployments=places,
        stream=bool(wish.stream),
        options=options,
        session=session,
    )


def _body(wish: Wish, fields: dict[str, Any]) -> dict[str, Any]:
    streamed = {} if wish.stream is None else {"stream": wish.stream}
    return {**fields, "model": wish.places[0].found.group, **streamed}


def _differing(first: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What to change in the first body to have the other; None takes a field out."""
    if first is other:
        return {}
    changed = {key: value for key, value in other.items() if key not in first or first[key] != value}
    return changed | {key: None for key in first if key not in other}


def _on_terms(place: Place, deployment: Deployment, common: dict[str, Any]) -> Deployment:
    own = {key: value for key, value in place.body.items() if key not in common}
    if not own and place.limit is None:
        return deployment
    terms = deployment.terms
    changes: dict[str, Any] = {"defaults": {**terms.defaults, **own}}
    if place.limit is not None:
        limit = place.limit if terms.timeout is None else min(place.limit, terms.timeout)
        changes |= {"timeout": limit, "stream_timeout": limit}
    changed = Deployment(deployment.target, group=deployment.group, id=deployment.id, terms=replace(terms, **changes))
    changed.memo = deployment.memo
    return changed


def _in_time(options: CallOptions, wish: Wish) -> CallOptions:
    """A candidate that hangs may not use up the time of the others: each has an even share of it to begin its answer."""
    if wish.seconds is None:
        return options
    share, timeouts = wish.seconds / len(wish.places), options.timeouts
    first_token = share if timeouts.first_token is None else min(share, timeouts.first_token)
    return replace(options, timeouts=replace(timeouts, first_token=first_token))
