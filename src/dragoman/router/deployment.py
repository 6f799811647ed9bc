"""A deployment is a provider's model with a credential; a model group is a public name that several deployments serve."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec import Struct

from dragoman.providers.base import Target


class Terms(Struct, frozen=True, kw_only=True):
    """On what terms a deployment is used. None means: not said.

    `weight`: its share in a shuffle. `order`: lower is asked first, the others only when those cannot be. `rpm`, `tpm`:
    requests and tokens a minute; `max_parallel`: requests at once. `input_rate`, `output_rate`: nano-dollars per million
    tokens. `cooldown`: seconds of its first ejection. `timeout`: seconds of one attempt; of a stream `stream_timeout`, or else
    `timeout`, until its first token and between two pieces. `retries`: how often a request that this group was asked is tried
    again. `defaults`: parameters of a request that does not give them. `info`: what the configuration says about the model
    (LiteLLM's model_info).
    """

    weight: float | None = None
    order: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    tags: frozenset[str] = frozenset()
    region: str | None = None
    input_rate: int | None = None
    output_rate: int | None = None
    cooldown: float | None = None
    timeout: float | None = None
    stream_timeout: float | None = None
    retries: int | None = None
    blocked: bool = False
    defaults: dict[str, Any] = {}
    info: dict[str, Any] = {}


NO_TERMS = Terms()


class Deployment:
    """One place that can answer. `id` is stable and unique in its configuration; `group` is the public name it serves.

    `label` is the id as an HTTP header may hold it (the id of a pattern's deployment is made of what a client wrote).
    `memo` holds what the engine derives from the target once (URLs and header blocks), so that a request costs a lookup.
    """

    __slots__ = ("group", "id", "label", "memo", "target", "terms")

    def __init__(
        self,
        target: Target,
        *,
        group: str | None = None,
        id: str | None = None,  # noqa: A002 - its name
        terms: Terms = NO_TERMS,
    ) -> None:
        self.target = target
        self.group = group or target.model
        self.id = id or f"{target.provider.name}/{target.model}"
        self.label = quote(self.id, safe="/:#@*+").encode()
        self.memo: dict[Any, Any] = {}
        self.terms = terms

    @property
    def credential(self) -> tuple[str, str, str | None]:
        """What a refused credential is shared by: deployments of one provider and host with the same key. Never shown."""
        target = self.target
        return target.provider.name, target.base_url, target.api_key or " ".join(target.secrets.values()) or None

    def __repr__(self) -> str:
        return f"Deployment({self.id} for {self.group})"
