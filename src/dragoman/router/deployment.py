"""A deployment is a provider's model with a credential; a model group is a public name that several deployments serve."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from dragoman.providers.base import Target


class Deployment:
    """One place that can answer. `id` is stable and unique in its configuration; `group` is the public name it serves.

    `label` is the id as an HTTP header may hold it (the id of a pattern's deployment is made of what a client wrote).
    `memo` holds what the engine derives from the target once (URLs and header blocks), so that a request costs a lookup.
    """

    __slots__ = ("group", "id", "label", "memo", "target")

    def __init__(self, target: Target, *, group: str | None = None, id: str | None = None) -> None:  # noqa: A002 - its name
        self.target = target
        self.group = group or target.model
        self.id = id or f"{target.provider.name}/{target.model}"
        self.label = quote(self.id, safe="/:#@*+").encode()
        self.memo: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"Deployment({self.id} for {self.group})"
