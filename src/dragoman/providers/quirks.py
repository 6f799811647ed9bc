"""Applies a provider's quirks to a body, in the order that `Quirks` documents. Pure; called by `engine.prepare`.

`apply` works on the object that a dialect wrote; `apply_to_envelope` does the same to the raw envelope of a relayed
request and decodes only the fields concerned (all of them when the quirks have an `edit`). Both change what they are given
in place and return what was lost. A field whose value says the same as its absence (`n: 1`) is no loss when dropped.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.core.json import Envelope
from dragoman.providers.base import NO_QUIRKS, Quirks

STREAM_OPTIONS = "stream_options"

NEUTRAL: dict[str, Any] = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "metadata": {},
    "n": 1,
    "presence_penalty": 0,
    "stop": [],
    "store": False,
    "temperature": 1,
    "tools": [],
    "top_p": 1,
}
"""Field -> the value that means what leaving it out means (https://platform.openai.com/docs/api-reference/chat/create)."""


def apply(body: dict[str, Any], quirks: Quirks, model: str) -> tuple[Warning, ...]:
    """Edit `body` in place. The warnings name fields by their path in the body as it came."""
    lost = [*_rename(body, quirks.rename), *_drop(body, quirks.drop)]
    if not quirks.stream_usage:
        # Not a loss: such a provider reports the usage of a stream unasked.
        body.pop(STREAM_OPTIONS, None)
    _map_values(body, quirks.map_values)
    lost += _clamp(body, quirks.clamp)
    for name, value in quirks.defaults.items():
        if name not in body:
            body[name] = deepcopy(value)
    if quirks.edit is not None:
        lost += quirks.edit(body, model)
    return tuple(lost)


def apply_to_envelope(envelope: Envelope, quirks: Quirks, model: str) -> tuple[Warning, ...]:
    """As `apply`, on an envelope. Fields that no quirk touches stay the bytes that came."""
    if quirks is NO_QUIRKS:
        return ()
    concerned = _concerned(envelope, quirks)
    if not concerned and not quirks.defaults and quirks.edit is None:
        return ()
    before = {name: json.decode(envelope[name]) for name in concerned}
    body = dict(before)
    warnings = apply(body, quirks, model)
    for name in before.keys() - body.keys():
        del envelope[name]
    for name, value in body.items():
        # An edit may have changed a value in its depths, so after one everything is written anew.
        if quirks.edit is not None or name not in before or value is not before[name]:
            envelope[name] = json.raw(value)
    return warnings


def _concerned(envelope: Envelope, quirks: Quirks) -> list[str]:
    if quirks.edit is not None:
        return list(envelope)
    tables = (quirks.rename, quirks.rename.values(), quirks.drop, quirks.map_values, quirks.clamp, quirks.defaults)
    names = [name for table in tables for name in table if name in envelope]
    if not quirks.stream_usage and STREAM_OPTIONS in envelope:
        names.append(STREAM_OPTIONS)
    return names


def _rename(body: dict[str, Any], names: dict[str, str]) -> list[Warning]:
    lost = []
    for name, here in names.items():
        if name not in body:
            continue
        value = body.pop(name)
        if here not in body:
            body[here] = value
        elif body[here] != value:
            lost.append(Warning(field=name, message=f"left out: it is {here} here, which the request holds as well"))
    return lost


def _drop(body: dict[str, Any], names: frozenset[str]) -> list[Warning]:
    lost = []
    for name in sorted(names & body.keys()):
        value = body.pop(name)
        if value is not None and value != NEUTRAL.get(name):
            lost.append(Warning(field=name, message="left out: this provider or model does not take it"))
    return lost


def _map_values(body: dict[str, Any], tables: dict[str, dict[str, Any]]) -> None:
    """No warning: the table holds synonyms."""
    for name, values in tables.items():
        value = body.get(name)
        if isinstance(value, str) and value in values:
            body[name] = values[value]


def _clamp(body: dict[str, Any], ranges: dict[str, tuple[float, float]]) -> list[Warning]:
    changed = []
    for name, (lowest, highest) in ranges.items():
        value = body.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or lowest <= value <= highest:
            continue
        body[name] = min(max(value, lowest), highest)
        message = f"{value} is outside of {lowest} to {highest}, the range here; {body[name]} was sent"
        changed.append(Warning(field=name, message=message, code="changed"))
    return changed
