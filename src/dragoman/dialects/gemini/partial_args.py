"""Arguments of a call that come piece by piece: JSON paths with values, put together to the object they describe.

`streamFunctionCallArguments` of Vertex sends them: `$.recipe.steps[0]` with a text to append or a value to set. The pieces do
not come as JSON text, so the arguments are written when the call is complete. Called by the answer's reader.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")
_LONGEST_LIST = 100_000


class PartialArgs:
    def __init__(self) -> None:
        self.value: dict[str, Any] = {}

    def take(self, piece: Any) -> None:
        """One entry of `partialArgs`. Raises ValueError for a path that leads nowhere."""
        path = piece.get("jsonPath") if isinstance(piece, dict) else None
        kind = next((kind for kind in _VALUES if isinstance(piece, dict) and kind in piece), None)
        if not isinstance(path, str) or kind is None:
            raise ValueError("functionCall.partialArgs: expected a jsonPath and a value")
        value = None if kind == "nullValue" else piece[kind]
        _put(self.value, _steps(path), value)


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    place = 1
    while place < len(path):
        found = _STEP.match(path, place)
        if found is None or (found[2] and int(found[2]) > _LONGEST_LIST):
            break
        steps.append(int(found[2]) if found[2] else found[1] or found[3] or found[4] or "")
        place = found.end()
    if path[:1] != "$" or place < len(path) or not steps or isinstance(steps[0], int):
        raise ValueError(f"functionCall.partialArgs: expected a path like $.list[0].name, found {path[:80]}")
    return steps


def _put(root: dict[str, Any], steps: list[str | int], value: Any) -> None:
    """Texts are appended to what is there, other values replace it."""
    holder: Any = root
    for step, following in pairwise(steps):
        holder = _enter(holder, step, [] if isinstance(following, int) else {})
    held = _enter(holder, steps[-1], None)
    holder[steps[-1]] = held + value if isinstance(held, str) and isinstance(value, str) else value


def _enter(holder: Any, step: str | int, empty: Any) -> Any:
    """What stands under a step, made if there is nothing yet."""
    if isinstance(step, int) and isinstance(holder, list):
        holder.extend([None] * (step + 1 - len(holder)))
    elif not (isinstance(step, str) and isinstance(holder, dict)):
        raise ValueError(  # noqa: TRY004 - of what came over the wire, not of our caller
            "functionCall.partialArgs: a path leads into what is no list or no object"
        )
    held = holder[step] if isinstance(step, int) else holder.get(step)
    if held is None:
        holder[step] = held = empty
    return held
