"""Which kept answer was to nearly the same question: vectors of questions, compared only where all else is equal.

A *partition* is everything of a request but the words of its last user turn: instructions, earlier turns, tools, schema,
parameters, model, tenant, and the numbers in that turn, which vectors hardly see. Vectors of two partitions never meet. The
index is this process's own and starts empty; it holds keys of answers, which are looked up in the store. numpy is used where
it is installed.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from dragoman.core.chat import ChatRequest, TextPart

MOST_COMPARED = 1000
"""Vectors of a partition; the oldest ones are forgotten. numpy compares with all of them in well under a millisecond."""
MOST_WITHOUT_NUMPY = 100
"""So many of them, the latest, are compared without it: in five milliseconds."""


class SemanticSettings(Struct, frozen=True, kw_only=True):
    """`threshold`: the cosine from which two questions count as one. `check`: the share of hits at which the provider is
    asked as well. `model` embeds the questions. `most` bounds the vectors of all partitions together.
    """

    model: str = "local/use-multilingual-v3"
    threshold: float = 0.98
    check: float = 0.0
    most: int = 10_000


class Question(NamedTuple):
    """`rest` is the request without the text of its last user turn."""

    text: str
    numbers: tuple[str, ...]
    rest: ChatRequest


class Near(NamedTuple):
    """A kept answer to a question that is `similarity` like this one."""

    key: str
    similarity: float


_NUMBER = re.compile(r"\d+")


def question(request: Any) -> Question | None:
    """What is compared of a request; None where that is more than a text."""
    if not isinstance(request, ChatRequest) or not request.messages:
        return None
    last = request.messages[-1]
    texts = [part.text for part in last.parts if isinstance(part, TextPart)]
    text = "\n".join(texts)
    if last.role != "user" or len(texts) < len(last.parts) or not text.strip():
        return None
    blank = tuple(replace(part, text="") for part in last.parts)
    rest = replace(request, messages=(*request.messages[:-1], replace(last, parts=blank)))
    return Question(text, tuple(_NUMBER.findall(text)), rest)


def text_of(response: Any) -> str:
    """What an answer says, for a comparison."""
    parts = [part for choice in response.choices[:1] for part in choice.parts]
    return "\n".join(getattr(part, "text", "") or getattr(part, "arguments", "") for part in parts)


class _Partition:
    def __init__(self) -> None:
        self.keys: list[str] = []
        self.vectors: list[array[float]] = []
        self.matrix: Any = None

    @property
    def length(self) -> int:
        """Of its vectors; 0 where there is none."""
        return len(self.vectors[0]) if self.vectors else 0

    def add(self, key: str, vector: array[float]) -> None:
        self.keys.append(key)
        self.vectors.append(vector)
        del self.keys[:-MOST_COMPARED], self.vectors[:-MOST_COMPARED]
        self.matrix = None

    def remove(self, key: str) -> None:
        if key in self.keys:
            place = self.keys.index(key)
            del self.keys[place], self.vectors[place]
            self.matrix = None

    def nearest(self, vector: array[float]) -> Near:
        numpy = _numpy()
        if numpy is None:
            latest = zip(self.keys[-MOST_WITHOUT_NUMPY:], self.vectors[-MOST_WITHOUT_NUMPY:], strict=True)
            return max((Near(key, cosine(vector, other)) for key, other in latest), key=_likeness)
        if self.matrix is None:
            self.matrix = numpy.frombuffer(b"".join(self.vectors), dtype=numpy.float32).reshape(len(self.vectors), -1)
        # not `@`: the threads that it wakes for so little cost more than they do
        similarities = numpy.einsum("ij,j->i", self.matrix, numpy.frombuffer(vector, dtype=numpy.float32))
        best = int(similarities.argmax())
        return Near(self.keys[best], float(similarities[best]))


def _likeness(near: Near) -> float:
    return near.similarity


class Index:
    """Questions by partition. Safe between threads. Where a vector has another length, another model made those before it, and
    they are forgotten.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._lock = Lock()
        self._partitions: OrderedDict[str, _Partition] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def add(self, partition: str, key: str, vector: array[float]) -> None:
        with self._lock:
            held = self._partitions.setdefault(partition, _Partition())
            self._partitions.move_to_end(partition)
            before = len(held.keys)
            if held.length not in (0, len(vector)):
                held = self._partitions[partition] = _Partition()
            held.remove(key)
            held.add(key, vector)
            self._count += len(held.keys) - before
            while self._count > self._most and len(self._partitions) > 1:
                self._count -= len(self._partitions.popitem(last=False)[1].keys)

    def nearest(self, partition: str, vector: array[float]) -> Near | None:
        with self._lock:
            held = self._partitions.get(partition)
            if held is None or held.length != len(vector):
                return None
            self._partitions.move_to_end(partition)
            return held.nearest(vector)

    def remove(self, partition: str, key: str) -> None:
        """An answer that is not there any more."""
        with self._lock:
            held = self._partitions.get(partition)
            if held is None:
                return
            before = len(held.keys)
            held.remove(key)
            self._count -= before - len(held.keys)
            if not held.keys:
                del self._partitions[partition]

    def clear(self) -> None:
        with self._lock:
            self._partitions.clear()
            self._count = 0


def unit(vector: Sequence[Any]) -> array[float]:
    """The vector with length 1, as float32. Raises ValueError for one that has no direction."""
    norm = math.hypot(*vector)
    if not 0 < norm < math.inf:
        raise ValueError(f"a vector of length {norm} has no direction")
    return array("f", [value / norm for value in vector])


def cosine(one: array[float], other: array[float]) -> float:
    """Of two vectors of length 1."""
    return sum(map(float.__mul__, one, other))


@cache
def _numpy() -> Any:
    try:
        import numpy  # noqa: PLC0415, ICN001 - where it is; it comes with the local extra
    except ImportError:
        return None
    return numpy
