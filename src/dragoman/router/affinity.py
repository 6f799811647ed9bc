"""Keeping requests that belong together at one deployment, where that saves more than it costs.

Rendezvous hashing: the deployment with the highest mix of its own seed and the key. It needs no memory, agrees between
processes, and when a deployment goes only its own keys move. Pure; asked by `plan` when a request has a key.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Protocol, TypeVar

_MASK = (1 << 64) - 1
CACHED_SHARE = 0.8
"""The part of the time to first token that is spent on reading the prompt, and saved where it lies in a cache."""
SESSION_SAVING = 0.3
"""What is saved when a request is known to go on from another one, but not how much of it is the same."""


class Seeded(Protocol):
    @property
    def seed(self) -> int: ...


Place = TypeVar("Place", bound=Seeded)


def seed_of(text: str) -> int:
    """64 bits that are the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def preferred(places: Iterable[Place], key: str) -> Place:
    """Where `key` belongs among `places`, of which there is at least one."""
    mixed = seed_of(key)
    return max(places, key=lambda place: _mix(place.seed ^ mixed))


def saving(input_tokens: int, cached_tokens: int) -> float:
    """The expected share of the cost that staying saves: 0 to 1."""
    if not cached_tokens:
        return SESSION_SAVING
    return CACHED_SHARE * min(1.0, cached_tokens / max(1, input_tokens, cached_tokens))


def stays(*, here: float, elsewhere: float, saved: float) -> bool:
    """Whether the key's own place, at the cost `here`, beats the best other place at its cost."""
    return here * (1.0 - saved) <= elsewhere


def _mix(value: int) -> int:
    """Each bit of the value moves about half of the bits of the result (Stafford's variant 13 of the MurmurHash3 finaliser)."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
