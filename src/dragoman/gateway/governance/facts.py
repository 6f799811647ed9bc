"""What admission needs to know of a request: its model, whose it is, and how many tokens and how much money it may take.

Estimates are made to hold money, not to bill: prompt tokens by the size of the body, answers by the limit that the request
states, prices by the dearest deployment that may answer. What a call really cost is computed from its usage at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
MAX_PICTURES = 100
"""Images that are held for at most."""
MAX_GROUPS = 10_000
MAX_TAGS, MAX_NAME = 16, 128

_MAX_TOKENS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_FIELDS = frozenset({*_MAX_TOKENS, "user", "metadata", "n"})
Said = Mapping[str, Any]
"""Field of the body -> its value, of those of `_FIELDS` that are there."""
_ANSWERS = frozenset({"chat", "responses", "completion"})
_PICTURES = frozenset({"image", "image_edit", "image_variation"})
_PER_MILLION = 1_000_000


class Facts(NamedTuple):
    """`nano`: nano-dollars to hold, None when nobody knows the price. `amounts`: tokens to hold. `client`: its address.
    `asked`: what the client has asked for, where `model` stands in for it or is another name of it.
    """

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
    asked: str = ""
    session: str = ""


class Rates(NamedTuple):
    """Nano-dollars per million tokens, images, characters and queries, and the longest answer of a model."""

    input: int
    output: int
    max_output: int | None
    image: int = 0
    character: int = 0
    query: int = 0


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


class FixedPrices(Prices):
    """The same rates for every call."""

    def __init__(self, rates: Rates | None) -> None:
        super().__init__()
        self._fixed = rates

    def rates(self, call: Call) -> Rates | None:  # noqa: ARG002 - whatever it asks for
        return self._fixed


def facts_of(
    call: Call,
    prices: Prices,
    *,
    route: str = "",
    end_user: str = "",
    session: str = "",
    tags: str = "",
    request_id: str = "",
    client: str = "",
) -> Facts:
    """`end_user` and `tags` (with commas between) are those of headers; else the body's are taken."""
    said = _said(call)
    rates = prices.rates(call)
    amounts = _amounts(call, said, rates)
    nano = None
    if rates is not None:
        tokens = amounts.input_tokens * rates.input + amounts.output_tokens * rates.output
        nano = -(-(tokens + _pieces(call, said, rates)) // _PER_MILLION)
    return Facts(
        model=call.model,
        operation=call.operation,
        route=route,
        dialect=call.dialect,
        stream=call.stream,
        nano=nano,
        amounts=amounts,
        end_user=plain(end_user or _end_user(said))[:MAX_NAME],
        tags=split_tags(tags) if tags else _tags(said),
        request_id=request_id,
        client=client,
        asked=call.alias or call.asked,
        session=plain(session),
    )


def batch_rates(deployment: Deployment) -> Rates | None:
    """Of what is answered in a batch there."""
    return _rates(deployment, batched=True)


def _rates(deployment: Deployment, *, batched: bool = False) -> Rates | None:
    found = record(deployment)
    if found is None:
        return None
    model = found.model
    if model.provider in FREE:
        return Rates(0, 0, model.max_output)
    if not model.priced:
        return None
    lists = (model.modes.get("batch", model.price),) if batched else (model.price, *model.modes.values())
    into, out, *pieces = (_highest(lists, kind) for kind in ("input", "output", "image", "character", "query"))
    return Rates(into, out, model.max_output, *pieces)


def _highest(lists: tuple[Tariff, ...], kind: str) -> int:
    """Of an image, whatever its size and quality."""
    rates = [rate for held in lists for listed, rate in held.rates.items() if listed.partition(" ")[0] == kind]
    return max([*rates, *(step.rates.get(kind, 0) for held in lists for step in held.steps)], default=0)


def _dearest(found: list[Rates | None]) -> Rates | None:
    known = [rates for rates in found if rates is not None]
    if len(known) < len(found) or not known:
        return None
    longest = [rates.max_output for rates in known]
    return Rates(
        max(rates.input for rates in known),
        max(rates.output for rates in known),
        None if None in longest else max(length for length in longest if length is not None),
        max(rates.image for rates in known),
        max(rates.character for rates in known),
        max(rates.query for rates in known),
    )


def _pieces(call: Call, said: Said, rates: Rates) -> int:
    """What is paid for by the piece: the images that are asked for, every byte that may be a character to speak, a query."""
    if call.operation in _PICTURES and rates.image:
        asked = said.get("n")
        return rates.image * (min(asked, MAX_PICTURES) if type(asked) is int and asked > 0 else 1)
    if call.operation == "rerank":
        return rates.query
    return rates.character * len(call.body) if call.operation == "speech" else 0


def _amounts(call: Call, said: Said, rates: Rates | None) -> Amounts:
    prompt = len(call.body) // BYTES_PER_TOKEN + 1
    if call.operation not in _ANSWERS:
        return Amounts(prompt, 0)
    stated = OUTPUT_GUESS
    for field in _MAX_TOKENS:
        value = said.get(field)
        if type(value) is int and value > 0:
            stated = value
            break
    longest = rates.max_output if rates else None
    return Amounts(prompt, min(stated, longest or MAX_OUTPUT, MAX_OUTPUT))


def _said(call: Call) -> Said:
    """What the body says that matters here."""
    if not call.in_json:
        return {}
    envelope = call.envelope
    return {field: json.read(envelope, field) for field in _FIELDS & envelope.keys()}


def _end_user(said: Said) -> str:
    """OpenAI's `user`, Anthropic's `metadata.user_id`."""
    found = said.get("user")
    if found is None:
        metadata = said.get("metadata")
        found = metadata.get("user_id") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


def tags_of(call: Call, header: str) -> tuple[str, ...]:
    """Those of the header; else the body's, in `metadata.tags`."""
    return split_tags(header) if header else _tags(_said(call))


def _tags(said: Said) -> tuple[str, ...]:
    metadata = said.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    if isinstance(tags, str):
        return split_tags(tags)
    return _bounded([tag for tag in tags if isinstance(tag, str)]) if isinstance(tags, list) else ()


def split_tags(tags: str) -> tuple[str, ...]:
    """Those of a header."""
    return _bounded([tag.strip() for tag in tags.split(",")])


def _bounded(tags: list[str]) -> tuple[str, ...]:
    """Each once, in order, of bounded number and length."""
    kept = [plain(tag)[:MAX_NAME] for tag in tags[: 2 * MAX_TAGS]]
    return tuple(dict.fromkeys(tag for tag in kept if tag))[:MAX_TAGS]
