"""What admission needs to know of a request: its model, whose it is, and how many tokens and how much money it may take.

Estimates are made to hold money, not to bill: prompt tokens by the size of the body, answers by the limit that the request
states, prices by the dearest deployment that may answer. What a call really cost is computed from its usage at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dragoman.catalog.cost import FREE
from dragoman.catalog.records import Tariff
from dragoman.core import json
from dragoman.engine.call import Call
from dragoman.engine.price import record
from dragoman.gateway.governance.ledger import plain
from dragoman.gateway.governance.limits import Amounts
from dragoman.router.deployment import Deployment

BYTES_PER_TOKEN = 4
OUTPUT_GUESS = 1024
"""Tokens of an answer when the request does not limit it."""
MAX_OUTPUT = 10_000_000
"""Tokens that are held at most, however long an answer a request allows."""
MAX_GROUPS = 10_000
MAX_TAGS, MAX_NAME = 16, 128

_MAX_TOKENS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_ANSWERS = frozenset({"chat", "responses", "completion"})
_PER_MILLION = 1_000_000


class Facts(NamedTuple):
    """`nano`: nano-dollars to hold, None when nobody knows the price. `amounts`: tokens to hold. `client`: its address."""

    model: str
    operation: str
    route: str = ""
    dialect: str = ""
    stream: bool = False
    nano: int | None = 0
    amounts: Amounts = Amounts()
    end_user: str = ""
    tags: tuple[str, ...] = ()
    request_id: str = ""
    client: str = ""


class Rates(NamedTuple):
    """Nano-dollars per million tokens, and the longest answer of a model."""

    input: int
    output: int
    max_output: int | None


class Prices:
    """Rates by model group, worked out once. `forget` when the deployments or the catalog have changed.

    `group`: the deployments that a name stands for; none where the call itself has all.
    """

    def __init__(self, group: Callable[[str], tuple[Deployment, ...]] = lambda _: ()) -> None:
        self._group = group
        self._groups: dict[str | tuple[str, ...], Rates | None] = {}

    def forget(self) -> None:
        self._groups.clear()

    def rates(self, call: Call) -> Rates | None:
        """The dearest of the group's deployments; None when one of them has no price.

        A call that the router leads names one deployment of its group. A request of GPTRouter's names candidates of several
        groups, so its deployments are not those of its model alone.
        """
        places = call.deployments
        known = call.model if len(places) == 1 else (call.model, *[place.id for place in places])
        if known not in self._groups:
            if len(self._groups) >= MAX_GROUPS:
                del self._groups[next(iter(self._groups))]
            asked = (self._group(call.model) if len(places) == 1 else ()) or places
            self._groups[known] = _dearest([_rates(deployment) for deployment in asked])
        return self._groups[known]


def facts_of(
    call: Call, prices: Prices, *, route: str = "", end_user: str = "", tags: str = "", request_id: str = "", client: str = ""
) -> Facts:
    """`end_user` and `tags` (with commas between) are those of headers; else the body's are taken."""
    rates = prices.rates(call)
    amounts = _amounts(call, rates)
    nano = None
    if rates is not None:
        nano = -(-(amounts.input_tokens * rates.input + amounts.output_tokens * rates.output) // _PER_MILLION)
    return Facts(
        model=call.model,
        operation=call.operation,
        route=route,
        dialect=call.dialect,
        stream=call.stream,
        nano=nano,
        amounts=amounts,
        end_user=plain(end_user or _end_user(call))[:MAX_NAME],
        tags=_split(tags) if tags else _body_tags(call),
        request_id=request_id,
        client=client,
    )


def _rates(deployment: Deployment) -> Rates | None:
    found = record(deployment)
    if found is None:
        return None
    model = found.model
    if model.provider in FREE:
        return Rates(0, 0, model.max_output)
    if not model.priced:
        return None
    lists = (model.price, *model.modes.values())
    return Rates(_highest(lists, "input"), _highest(lists, "output"), model.max_output)


def _highest(lists: tuple[Tariff, ...], kind: str) -> int:
    rates = [held.rates.get(kind, 0) for held in lists]
    return max(rates + [step.rates.get(kind, 0) for held in lists for step in held.steps])


def _dearest(found: list[Rates | None]) -> Rates | None:
    known = [rates for rates in found if rates is not None]
    if len(known) < len(found) or not known:
        return None
    longest = [rates.max_output for rates in known]
    return Rates(
        max(rates.input for rates in known),
        max(rates.output for rates in known),
        None if None in longest else max(length for length in longest if length is not None),
    )


def _amounts(call: Call, rates: Rates | None) -> Amounts:
    prompt = len(call.body) // BYTES_PER_TOKEN + 1
    if call.operation not in _ANSWERS:
        return Amounts(prompt, 0)
    stated = next((value for field in _MAX_TOKENS if type(value := _read(call, field)) is int and value > 0), OUTPUT_GUESS)
    longest = rates.max_output if rates else None
    return Amounts(prompt, min(stated, longest or MAX_OUTPUT, MAX_OUTPUT))


def _read(call: Call, field: str) -> Any:
    if call.content_type != "application/json" or field not in call.envelope:
        return None
    return json.read(call.envelope, field)


def _end_user(call: Call) -> str:
    """OpenAI's `user`, Anthropic's `metadata.user_id`."""
    found = _read(call, "user")
    if found is None:
        metadata = _read(call, "metadata")
        found = metadata.get("user_id") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


def _body_tags(call: Call) -> tuple[str, ...]:
    metadata = _read(call, "metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    if isinstance(tags, str):
        return _split(tags)
    return _bounded([tag for tag in tags if isinstance(tag, str)]) if isinstance(tags, list) else ()


def _split(tags: str) -> tuple[str, ...]:
    return _bounded([tag.strip() for tag in tags.split(",")])


def _bounded(tags: list[str]) -> tuple[str, ...]:
    """Each once, in order, of bounded number and length."""
    kept = [plain(tag)[:MAX_NAME] for tag in tags[: 2 * MAX_TAGS]]
    return tuple(dict.fromkeys(tag for tag in kept if tag))[:MAX_TAGS]
