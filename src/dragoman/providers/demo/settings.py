"""How fast a demo answer comes and how it fails: the parameters, read from wherever they are written.

Three places, the later one wins: the player's defaults (`dragoman demo-upstream --latency 200`), the model's name
(`demo/echo?latency=200`), the body's field `demo` (`{"demo": {"latency": 200}}`). An unknown name is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct

from dragoman.providers.demo.script import Refusal

STATUS_FAULTS = ("400", "401", "429", "500", "503", "529")
FAULTS = (*STATUS_FAULTS, "timeout", "refuse", "cut", "stall", "garbage", "malformed", "error_event")

NotNegative = Annotated[float, Meta(ge=0)]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`latency`: milliseconds until the head. `tokens_per_second`: the pace of the answer; None is as fast as it goes.

    `chunk`: tokens in one streamed piece. `length`: the answer is that many words, whatever the model.
    `fail`: one of FAULTS; `fail_rate`: the share of requests that do. `fail_after`: pieces that come before a cut, stall,
    garbage, malformed or error event (half of them by default; a plain answer counts four). `retry_after`: seconds, the header
    of a failing status.
    """

    latency: NotNegative = 0.0
    tokens_per_second: Annotated[float, Meta(gt=0)] | None = None
    chunk: Annotated[int, Meta(ge=1)] = 1
    length: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    fail: str | None = None
    fail_rate: Annotated[float, Meta(ge=0, le=1)] = 1.0
    fail_after: Annotated[int, Meta(ge=0)] | None = None
    retry_after: NotNegative | None = None

    @property
    def seconds_per_token(self) -> float:
        return 0.0 if self.tokens_per_second is None else 1 / self.tokens_per_second


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with some of them replaced; numbers may be written as text. Raises Refusal 400."""
    if not changes:
        return settings
    for name in changes:
        if name not in Settings.__struct_fields__:
            known = ", ".join(Settings.__struct_fields__)
            raise Refusal(400, f"unknown demo parameter {name!r}; there are: {known}", param=f"demo.{name}")
    merged = msgspec.structs.asdict(settings) | dict(changes)
    if merged["fail"] is not None:
        merged["fail"] = str(merged["fail"])
    try:
        result = msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"bad demo parameter: {error}", param="demo") from None
    if result.fail is not None and result.fail not in FAULTS:
        raise Refusal(400, f"demo cannot fail as {result.fail!r}; it can as: {', '.join(FAULTS)}", param="demo.fail")
    return result


def split_model(model: str) -> tuple[str, dict[str, str]]:
    """`demo/echo?latency=200` -> ("demo/echo", {"latency": "200"})."""
    name, _, query = model.partition("?")
    return name, dict(parse_qsl(query, keep_blank_values=True))
