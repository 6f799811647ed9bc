"""What both halves of the dialect share: its name, its tables (ends of an answer, roles, prefixes of ids), the list of losses.

Tables and tiny pure helpers only; nothing here reads a body. Used by every other file of this package.
Source: https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dragoman.core.chat import Extra, Finish, Reason, Role
from dragoman.dialects import losses

NAME = "openai_responses"
PATH = "/responses"

ROLES: tuple[Role, ...] = ("system", "developer", "user", "assistant")
"""Who may speak in a message of the input; results of tools are items of their own."""

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
"""Two entries of `include` whose answers the vocabulary holds anyway."""


# ---------------------------------------------------------------------------------------------------------------- the end
class End(NamedTuple):
    """`status` of a response and the reason in its `incomplete_details`."""

    status: str
    reason: str | None = None


_REASONS: dict[str, Reason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "refusal": "refusal",
    "pause": "pause",
}
_STATUSES: dict[str, Reason] = {"completed": "stop", "failed": "error", "cancelled": "error"}

_ENDS: dict[Reason, End] = {
    "length": End("incomplete", "max_output_tokens"),
    "content_filter": End("incomplete", "content_filter"),
    "refusal": End("incomplete", "refusal"),
    "pause": End("incomplete", "pause"),
    "error": End("failed"),
}
"""Our reason -> theirs; what is not here is completed. `refusal` and `pause` are none of OpenAI's words, but an answer that
was broken off must not pass for a whole one."""

_KEPT = frozenset({"queued", "in_progress", "cancelled", "incomplete"})
"""Statuses that say it better than a reason: answers in the background, and those broken off for reasons of their own."""


def decode_finish(status: str | None, details: Any, *, called: bool) -> Finish:
    """`called`: the answer holds a call of a tool, for which there is no status of its own."""
    reason = details.get("reason") if isinstance(details, dict) else None
    if status == "incomplete":
        known = _REASONS.get(reason) if isinstance(reason, str) else None
        if known is None:
            return Finish(reason="unknown", native=f"{status}: {reason}" if reason else status)
        return Finish(reason=known, native=reason)
    ours = _STATUSES.get(status or "completed", "unknown")
    return Finish(reason="tool_calls" if called and ours == "stop" else ours, native=status)


def encode_finish(finish: Finish | None) -> End:
    """The provider's own words are kept where they mean the same here."""
    if finish is None:
        return End("completed")
    status, _, reason = (finish.native or "").partition(": ")
    if status in _KEPT:
        return End(status, reason or None)
    if _REASONS.get(status) == finish.reason:
        return End("incomplete", status)
    return _ENDS.get(finish.reason, End("completed"))


# ------------------------------------------------------------------------------------------------------------------- ids
_MADE_HERE = "_dragoman_"
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


def make_id(prefix: str, response_id: str, index: int) -> str:
    """The id of an item that came without one. Short, since the API takes no more than 64 characters back."""
    return f"{prefix}{_MADE_HERE}{_UNFIT.sub('', response_id)[-28:]}_{index}"


def is_made_here(id_: Any) -> bool:
    """Ids of ours mean nothing to a provider, so they are not sent to one."""
    return isinstance(id_, str) and _MADE_HERE in id_


# ----------------------------------------------------------------------------------------------------------------- extra
def extra(fields: dict[str, Any]) -> Extra:
    return {NAME: fields} if fields else {}


def own(held: Extra) -> dict[str, Any]:
    """What only this dialect knows, marks left out."""
    return {key: value for key, value in held.get(NAME, {}).items() if not key.startswith("_")}


def mark(held: Extra, name: str) -> Any:
    """What a mark of this dialect says, None without it."""
    return held.get(NAME, {}).get(name)


def item_mark(part: Any) -> dict[str, Any] | None:
    """The fields of the item that a part began (id, status, phase); None where it began none or came from elsewhere."""
    held: dict[str, Any] | None = mark(getattr(part, "extra", {}), "_item")
    return held


class Losses(losses.Losses):
    """The warnings of one encoding into this dialect."""

    def __init__(self) -> None:
        super().__init__(NAME, "models of the Responses API")
