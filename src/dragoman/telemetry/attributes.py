"""A call -> the attributes of its spans and measurements, in the words of `conventions`. Pure. Texts are never among them;
`content` has those, for who asked for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from dragoman.core import json
from dragoman.core.chat import ChatResponse, Usage
from dragoman.core.errors import DragomanError
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.engine.price import answering, price
from dragoman.providers.base import Target
from dragoman.telemetry import conventions as names
from dragoman.telemetry.call_facts import first_chunk

Attributes = dict[str, Any]


def at_the_beginning(call: Call) -> Attributes:
    """What samplers may decide by."""
    found: Attributes = {
        names.OPERATION: operation(call),
        names.REQUEST_MODEL: call.model,
        names.GROUP: call.model,
        names.REQUEST_STREAM: call.stream,
    }
    if call.deployments:
        found |= at(call.deployments[0].target)
    return found


def at_the_end(call: Call, *, minute: int | None) -> Attributes:
    """What is known when it has settled. `minute`: of the UTC day, for prices."""
    settlement = call.settlement or Settlement(cancelled=True)
    found: Attributes = {names.ATTEMPTS: len(call.attempts), **parameters(call), **usage(settlement.usage)}
    attempt = answering(call)
    if attempt is not None:
        found |= at(attempt.deployment.target)
        found[names.DEPLOYMENT] = attempt.deployment.id
    if (waited := first_chunk(call)) is not None:
        found[names.FIRST_CHUNK] = waited
    if (failure := failed(settlement)) is not None:
        found[names.ERROR_TYPE] = failure
    if isinstance(settlement.response, ChatResponse):
        found |= answered(settlement.response)
    if (cost := price(call, settlement.usage, minute=minute)) is not None and cost.dollars is not None:
        found[names.COST] = cost.dollars
    if call.warnings:
        found[names.WARNINGS] = [f"{warning.field}: {warning.message}" for warning in call.warnings]
    return found


def of_attempt(attempt: Attempt) -> Attributes:
    target, error = attempt.deployment.target, attempt.error
    found: Attributes = {names.DEPLOYMENT: attempt.deployment.id, names.GROUP: attempt.deployment.group, **at(target)}
    if attempt.reason:
        found[names.REASON] = attempt.reason
    if error is not None:
        found[names.ERROR_TYPE] = type(error).__name__
        found[names.STATUS_CODE] = error.status_code
    elif attempt.cancelled:
        found[names.ERROR_TYPE] = names.CANCELLED
    return found


def measured(call: Call) -> Attributes:
    """What measurements are told apart by."""
    found: Attributes = {names.OPERATION: operation(call), names.REQUEST_MODEL: call.model}
    attempt, settlement = answering(call), call.settlement or Settlement(cancelled=True)
    if attempt is not None:
        found |= at(attempt.deployment.target)
        found[names.RESPONSE_MODEL] = attempt.deployment.target.model
    if (failure := failed(settlement)) is not None:
        found[names.ERROR_TYPE] = failure
    return found


def operation(call: Call) -> str:
    return names.OPERATIONS.get(call.operation, call.operation)


def at(target: Target) -> Attributes:
    """Who is asked, and where."""
    name, place = target.provider.name, urlsplit(target.base_url)
    found: Attributes = {names.PROVIDER: names.PROVIDERS.get(name, name)}
    if place.hostname:
        found[names.SERVER_ADDRESS] = place.hostname
        found[names.SERVER_PORT] = place.port or (80 if place.scheme == "http" else 443)
    return found


def failed(settlement: Settlement) -> str | None:
    """The class of the error; for a call that nobody waited for `cancelled`."""
    if settlement.error is not None:
        return type(settlement.error).__name__
    return names.CANCELLED if settlement.cancelled else None


def usage(told: Usage | None) -> Attributes:
    if told is None:
        return {}
    found: Attributes = {names.INPUT_TOKENS: told.input_tokens, names.OUTPUT_TOKENS: told.output_tokens}
    shares = {
        names.CACHE_READ_TOKENS: told.cache_read_tokens,
        names.CACHE_WRITE_TOKENS: told.cache_write_tokens,
        names.REASONING_TOKENS: told.reasoning_tokens,
    }
    return found | {name: count for name, count in shares.items() if count}


def answered(response: ChatResponse) -> Attributes:
    reasons = [choice.finish.reason for choice in response.choices if choice.finish is not None]
    found: Attributes = {names.RESPONSE_MODEL: response.model, names.RESPONSE_ID: response.id}
    return found | ({names.FINISH_REASONS: reasons} if reasons else {})


def parameters(call: Call) -> Attributes:
    """What the request says about how to answer, as far as it makes sense."""
    return {names.PARAMETERS[name]: value for name, value in _said(call) if _sensible(value)}


def _said(call: Call) -> Iterator[tuple[str, Any]]:
    if not call.in_json:
        return
    try:
        envelope = call.envelope
        config = json.read(envelope, "generationConfig")
        for name in names.PARAMETERS.keys() & envelope.keys():
            yield name, json.read(envelope, name)
    except (DragomanError, *json.UNREADABLE):
        return
    if isinstance(config, dict):
        yield from ((name, config[name]) for name in names.PARAMETERS.keys() & config.keys())


def _sensible(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str) for item in value)
    return isinstance(value, int | float | str) and not isinstance(value, bool)
