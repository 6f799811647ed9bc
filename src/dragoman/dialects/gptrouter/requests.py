"""The body of POST /generate and its kin -> candidates in the order they are to be asked, and what holds for the whole call.

Judges shapes and names, with the path of what is wrong; whether a model exists is for who has the models. A candidate
without `promptParams`, or without a conversation in them, takes those of the first that has some. Called by the gateway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import BadRequestError
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse

MAX_CANDIDATES = 32
MAX_RETRIES = 100
MAX_MILLISECONDS = 10_000_000_000
_UNREADABLE = (json.DecodeError, UnicodeDecodeError, RecursionError)
_CONVERSATION = ("messages", "prompt")


class Candidate(Struct, frozen=True, kw_only=True):
    """One place to ask, by names or ids ("" where not said). `timeout`: milliseconds of an attempt; `place`: in `data`."""

    provider: str = ""
    model: str = ""
    provider_id: str = ""
    model_id: str = ""
    order: float = 0.0
    params: dict[str, Any] = {}
    timeout: float | None = None
    place: int = 0

    @property
    def path(self) -> str:
        return f"data[{self.place}]"


class Labels(Struct, frozen=True, kw_only=True):
    """Whose call it is, for the books: `tag`, `user` (createdByUserId), `history`, `app`, and `metadata` as it came.

    `prompt`: the stored prompt that is run, as "id@version", and "id#label" where it was asked for by one.
    """

    tag: str = ""
    user: str = ""
    history: str = ""
    app: str = ""
    metadata: dict[str, Any] = {}
    prompt: tuple[str, ...] = ()

    def completed(self, params: dict[str, Any]) -> Labels:
        """With what parameters say of it (tag, user_id, history_id, appId, metadata) where nothing is said yet."""
        named = (("tag", "tag"), ("user", "user_id"), ("history", "history_id"), ("app", "appId"))
        found: dict[str, Any] = {
            ours: str(params[theirs]) for ours, theirs in named if params.get(theirs) and not getattr(self, ours)
        }
        metadata = params.get("metadata")
        if isinstance(metadata, dict) and not self.metadata:
            found["metadata"] = metadata
        return replace(self, **found)


class Generation(Struct, frozen=True, kw_only=True):
    """`timeout` is milliseconds for the call as a whole, `max_retries` further attempts in all; None: not said."""

    candidates: tuple[Candidate, ...]
    stream: bool = False
    timeout: float | None = None
    max_retries: int | None = None
    labels: Labels = Labels()


def read_object(body: bytes) -> Fields:
    """The body as fields to be taken. Raises BadRequestError."""
    try:
        value = json.decode(body)
    except _UNREADABLE as problem:
        raise BadRequestError(f"the request body is no JSON: {problem}") from None
    if type(value) is not dict:
        refuse("", f"the request body: expected an object, found {json.kind(value)}")
    return Fields(value, "")


def read_generation(body: bytes, *, needs: Callable[[dict[str, Any], str], None] | None = None) -> Generation:
    """`needs` is asked about the parameters of each candidate, with their path; it raises for those that cannot be."""
    fields = read_object(body)
    common = fields.mapping("promptParams")
    candidates = _inherited(read_candidates(fields), common)
    for candidate in candidates:
        (needs or _needs_conversation)(candidate.params, f"{candidate.path}.promptParams")
    return Generation(
        candidates=candidates, stream=fields.flag("stream") or False, labels=read_labels(fields), **limits(fields)
    )


def limits(fields: Fields) -> dict[str, Any]:
    """`timeout` and `maxRetries`, checked."""
    timeout, retries = fields.number("timeout"), fields.integer("maxRetries")
    if timeout is not None and not 1 <= timeout <= MAX_MILLISECONDS:
        refuse("timeout", f"expected milliseconds from 1 to {MAX_MILLISECONDS}, found {timeout}")
    if retries is not None and not 0 <= retries <= MAX_RETRIES:
        refuse("maxRetries", f"expected 0 to {MAX_RETRIES}, found {retries}")
    return {"timeout": timeout, "max_retries": retries}


def read_labels(fields: Fields) -> Labels:
    return Labels(
        tag=fields.text("tag") or "",
        user=fields.text("createdByUserId") or "",
        history=fields.text("historyId") or "",
        app=fields.text("appId") or "",
        metadata=fields.mapping("metadata") or {},
    )


def read_candidates(fields: Fields) -> tuple[Candidate, ...]:
    """`data`, by `order`, those of one order as they stand. Each names a model, by name or id."""
    items = fields.items("data")
    if not items:
        mismatch("data", "an array of at least one candidate", None)
    if len(items) > MAX_CANDIDATES:
        refuse("data", f"expected at most {MAX_CANDIDATES} candidates, found {len(items)}")
    found = [_candidate(Fields(item, f"data[{place}]"), place) for place, item in enumerate(items)]
    return tuple(sorted(found, key=lambda candidate: candidate.order))


def _candidate(fields: Fields, place: int) -> Candidate:
    """The newer clients write names in both spellings."""
    order, timeout = fields.number("order"), fields.number("timeout")
    if timeout is not None and not 1 <= timeout <= MAX_MILLISECONDS:
        refuse(fields.at("timeout"), f"expected milliseconds from 1 to {MAX_MILLISECONDS}, found {timeout}")
    candidate = Candidate(
        provider=fields.text("providerName") or fields.text("model_provider") or "",
        model=fields.text("modelName") or fields.text("model_name") or "",
        provider_id=fields.text("providerId") or "",
        model_id=fields.text("modelId") or "",
        order=place if order is None else order,
        params=fields.mapping("promptParams") or {},
        timeout=timeout,
        place=place,
    )
    if not (candidate.model or candidate.model_id):
        refuse(fields.path, "names no model: give modelName and providerName, or modelId")
    return candidate


def _inherited(candidates: tuple[Candidate, ...], common: dict[str, Any] | None) -> tuple[Candidate, ...]:
    source = common or next((candidate.params for candidate in candidates if candidate.params), {})
    talk = next((held for held in (source, *(c.params for c in candidates)) if _conversation(held)), {})
    return tuple(replace(candidate, params=_completed(candidate.params or source, talk)) for candidate in candidates)


def _completed(params: dict[str, Any], talk: dict[str, Any]) -> dict[str, Any]:
    return params if _conversation(params) else {**params, **_conversation(talk)}


def _conversation(params: dict[str, Any]) -> dict[str, Any]:
    return {key: params[key] for key in _CONVERSATION if params.get(key)}


def _needs_conversation(params: dict[str, Any], path: str) -> None:
    if not _conversation(params):
        refuse(path, "no candidate has messages or a prompt: give one of them")
