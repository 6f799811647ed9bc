"""What one encoding could not say as asked: the list of `Warning`s that an upstream dialect hands back with its body.

Shared by the dialects that only speak to providers. It decides nothing; a dialect says what was dropped, changed or emulated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Literal

from dragoman.core.chat import ChatRequest, Extra, Warning

Rule = tuple[str, tuple[Any, ...]]
"""A field of the request that a dialect has no word for, with the values that ask for nothing."""

UNCOMMON: tuple[Rule, ...] = (
    ("n", (None, 1)),
    ("frequency_penalty", (None, 0)),
    ("presence_penalty", (None, 0)),
    ("logit_bias", (None, {})),
    ("logprobs", (None, False)),
    ("top_logprobs", (None, 0)),
    ("parallel_tool_calls", (None, True)),
    ("user", (None,)),
    ("metadata", (None, {})),
    ("service_tier", (None, "auto", "default")),
)
"""What OpenAI's API takes and many others do not."""


class Losses:
    """The warnings of one encoding. `dialect` is who encodes, `who` how people call those who speak it ("Cohere")."""

    def __init__(self, dialect: str, who: str) -> None:
        self.warnings: list[Warning] = []
        self._dialect = dialect
        self._who = who

    def _add(self, code: Literal["dropped", "changed", "emulated"], field: str, message: str) -> None:
        self.warnings.append(Warning(field=field, message=message, code=code))

    def drop(self, field: str, message: str) -> None:
        self._add("dropped", field, message)

    def change(self, field: str, message: str) -> None:
        self._add("changed", field, message)

    def emulate(self, field: str, message: str) -> None:
        self._add("emulated", field, message)

    def unsayable(self, request: ChatRequest, rules: Iterable[Rule]) -> None:
        """Parameters that this API does not have."""
        for field, silent in rules:
            if getattr(request, field) not in silent:
                self.drop(field, f"{self._who} has no such parameter; leave it out")

    def foreign(self, extra: Extra, path: str, taken: Collection[str] = ()) -> None:
        """Fields that only another dialect knows, but for those that were `taken` over."""
        for dialect, fields in extra.items():
            for key in fields if dialect != self._dialect else ():
                if not key.startswith("_") and key not in taken:
                    self.drop(
                        f"{path}.{key}" if path else key, f"only {dialect} knows this field; leave it out for {self._who}"
                    )


def own(extra: Extra, dialect: str) -> dict[str, Any]:
    """What only `dialect` knows, marks left out."""
    return {key: value for key, value in extra.get(dialect, {}).items() if not key.startswith("_")}


def taken(extra: Extra, dialect: str, names: Collection[str]) -> dict[str, Any]:
    """Fields of these names, whichever dialect they came in, and all that only `dialect` knows."""
    found = {key: value for fields in extra.values() for key, value in fields.items() if key in names}
    return found | own(extra, dialect)
