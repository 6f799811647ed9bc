"""A stream that broke off after its first token, continued by another deployment: what may be, how it is asked, and the flow.

Only plain text is continued: one answer, no tools, no schema, no reasoning and no token probabilities, in a request whose
dialect can say that an answer has begun. Everything else ends in the error that it would have ended in. The client's messages
stay as they are; the answer so far is put behind them. Loaded at the first break. docs/router.md has the rules for users.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec.structs import replace

from dragoman.catalog.estimate import estimate
from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse, TextPart, Usage
from dragoman.core.errors import BadRequestError, DragomanError
from dragoman.engine.call import Call
from dragoman.engine.flow import OpenedStream, open_rest
from dragoman.engine.request_facts import request_facts
from dragoman.engine.splice import Seam, Splice, mark
from dragoman.engine.steps import Close, Flow
from dragoman.router.continuation import ContinuationPolicy, Rest
from dragoman.router.direct import Capable, Exhausted, Step
from dragoman.router.throughput import ThroughputGuard

if TYPE_CHECKING:
    from dragoman.engine.streams import StreamState

_DIALECTS = frozenset({"openai_chat", "anthropic_messages"})
"""Client dialects whose `messages` take a last one of the assistant."""
_MOST_TOKENS = ("max_tokens", "max_completion_tokens")
_TRANSIENT = frozenset({408, 429})


def continued(state: StreamState, wall: Callable[[], float] = time.time) -> Flow[bool]:
    """Ask for the rest of a stream that broke off. True: `state` goes on, beginning with `begin`; else its error stands."""
    call, error = state.call, state.error
    if error is None or call.clock is None or call.settlement is not None or not _passes(error.status_code):
        return False
    text = text_of(call, state.response)
    rest = None if text is None else rest_of_stream(state, text)
    if text is None or rest is None:
        return False
    if state.opened.stream is not None:
        yield Close(state.opened.stream)
    torn = call.attempts[-1]
    torn.error, torn.usage = error, used(call, state, text)
    cast("Capable", call.session).failed(error, call.clock())
    try:
        opened = yield from open_rest(call, rest, call.clock, wall)
    except DragomanError:
        error.attempts = len(call.attempts)
        return False
    join(state, opened, text, "broke off")
    return True


def join(state: StreamState, opened: OpenedStream, text: str, how: str) -> None:
    """Have `state` go on behind `text` with the stream that was opened; `how` tells in a warning what became of the other."""
    call, way = state.call, opened.prepared.deployment.target.provider.prefill
    begun = call.session is not None and call.session.begun
    joined = Splice(
        Seam(text, text[len(text.rstrip()) :], repeats=begun and way is not None and way.repeats),
        opened=state.open_part,
        following=sum(len(choice.parts) for choice in state.response.choices),
        spent=call.sum(None),
    )
    state.go_on(opened, joined, mark(opened.prepared.deployment.id, len(text), how))


def _passes(status: int) -> bool:
    """Whether another one may do better: a broken stream counts as 502."""
    return status >= 500 or status in _TRANSIENT


def may_be_continued(call: Call) -> bool:
    """Whether its request is one of which the answer may be, if that turns out to be plain text."""
    try:
        return call.dialect in _DIALECTS and _plain(call.request)
    except BadRequestError:  # the provider has taken it: it may say anything
        return False


def text_of(call: Call, response: ChatResponse) -> str | None:
    """The answer so far, where it may be continued."""
    if not may_be_continued(call):
        return None
    parts = [part for choice in response.choices for part in choice.parts]
    if len(response.choices) > 1 or len(parts) > 1:
        return None
    (part,) = parts or [TextPart(text="")]
    if not isinstance(part, TextPart) or part.citations or (part.text and not part.text.strip()):
        return None
    return part.text


def _plain(request: ChatRequest) -> bool:
    """Whether the answer is text for people, of which no part is bound to another."""
    formed = request.response_format is not None and request.response_format.kind != "text"
    return not (request.tools or formed or request.reasoning or request.logprobs or (request.n or 1) > 1)


def rest_of_stream(state: StreamState, text: str, instead: ThroughputGuard | None = None) -> RestOfStream | None:
    """Who may be asked for what follows `text`; None where nobody is. `instead`: of a stream that would go on by itself."""
    call, session = state.call, cast("Capable", state.call.session)
    policy, error = session.continuation, state.error
    if policy is None or error is None:
        return None
    left = policy.most - sum(attempt.reason == "continuation" for attempt in call.attempts)
    if left <= 0:
        return None
    return RestOfStream(session, _rest(call, session, policy, text), left if instead is None else 1, error, instead)


def _rest(call: Call, session: Capable, policy: ContinuationPolicy, text: str) -> Rest:
    """What the request for the rest has different. Where nothing was delivered it is the request itself."""
    if not text:
        return Rest(by_prefill={})
    changed = next(attempt for attempt in reversed(session.trail) if attempt.reason != "continuation").changes or {}
    given = changed.get("messages") or msgspec.json.decode(call.envelope["messages"], type=list[msgspec.Raw])
    begun = [*given, {"role": "assistant", "content": text.rstrip()}]
    limits = {name: _left(call, name, text) for name in _MOST_TOKENS if name in call.envelope}
    instruction = policy.instruction
    asked = None if instruction is None else [*begun, {"role": "user", "content": instruction}]
    return Rest(
        by_prefill={"messages": begun, **limits},
        by_instruction=None if asked is None else {"messages": asked, **limits},
    )


def _left(call: Call, name: str, text: str) -> Any:
    """Tokens that the rest may take."""
    given = json.read(call.envelope, name)
    return max(1, given - estimate(text)) if type(given) is int else given


def used(call: Call, state: StreamState, text: str) -> Usage:
    """What the leg that broke took: as far as it was reported, and at least what can be seen."""
    reported = state.leg_usage
    written = estimate(text[state.characters :])
    if reported is None:
        return Usage(input_tokens=request_facts(call.envelope, call.model, stream=True).input_tokens, output_tokens=written)
    return reported if reported.output_tokens >= written else replace(reported, output_tokens=written)


class RestOfStream:
    """The call's session, which here gives only those who can go on."""

    hedging = False
    throughput_guard = None

    def __init__(self, session: Capable, rest: Rest, left: int, error: DragomanError, instead: ThroughputGuard | None) -> None:
        self._session = session
        self._rest = rest
        self._left = left
        self._error = error
        self._instead = instead

    def next(self, now: float) -> Step:
        found = self._session.go_on(now, self._rest, self._instead) if self._left else None
        self._left -= 1
        return Exhausted(error=self._error) if found is None else found

    def failed(self, error: BaseException, now: float) -> None:
        self._session.failed(error, now)

    def started(self, now: float) -> None:
        self._session.started(now)
