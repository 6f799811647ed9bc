"""One call's way through the policy. The engine asks `next`, does what it says, and tells how it went.

step = session.next(now)        a Deployment to ask; a Wait to sleep; or Exhausted, with the error to raise
session.failed(error, now)      then `next` again
session.started(now)            the first token has come (streams)
session.succeeded(now, ...)     or session.cancelled(now): it is over
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import TYPE_CHECKING, Any

from dragoman.core.errors import (
    CallError,
    ContextWindowExceededError,
    DragomanError,
    ErrorDetail,
    NoDeploymentError,
    RateLimitError,
)
from dragoman.router.continuation import ContinuationPolicy, Rest, prefills
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Exhausted, Step, Wait
from dragoman.router.fallback import Chain
from dragoman.router.health import success_rate
from dragoman.router.hedge import hedge_after, may_hedge
from dragoman.router.outcome import CANCELLED, KINDS, SLOW, SUCCESS, Outcome, failure
from dragoman.router.plan import Drop, choose, choose_out, drops_of
from dragoman.router.retry import back_off
from dragoman.router.state import (
    Ask,
    Attempt,
    Group,
    Node,
    RequestFacts,
    begin_attempt,
    end_attempt,
    estimated_cost,
    first_token,
    usual_seconds,
)
from dragoman.router.throughput import ThroughputGuard
from dragoman.router.waiting import LATER, Waiting

if TYPE_CHECKING:
    from dragoman.router.policy import Policy

LEASE, LONGEST_LEASE = 0.001, 0.032
"""Seconds until the first look, and at most between two, whether other processes leave something of a limit to this one."""


class NoCapacityError(NoDeploymentError, RateLimitError):
    """Every deployment is at a limit, or was told to wait: a NoDeploymentError that is a RateLimitError too."""

    status_code = 429
    type = "rate_limit_error"

    def __init__(self, message: str, *, drops: tuple[Any, ...] = (), retry_after: float | None = None) -> None:
        RateLimitError.__init__(self, message, retry_after=retry_after, attempts=0)
        self.drops = drops


class Session:
    """A call under policy. `trail` has every attempt, in order; several may run at once when one is hedged. Where an attempt is
    not named, the latest is meant, or the one that has won. `begun`: the latest has the beginning of its answer in its request.
    """

    __slots__ = (
        "_ask",
        "_budget",
        "_chain",
        "_changes",
        "_count",
        "_error",
        "_facts",
        "_group",
        "_groups",
        "_kind",
        "_meant",
        "_panicked",
        "_pause",
        "_policy",
        "_retry",
        "_risk",
        "_rng",
        "_tried",
        "_waited",
        "_waiting",
        "begun",
        "trail",
    )

    def __init__(self, policy: Policy, group: Group, facts: RequestFacts, rng: Random) -> None:
        self._policy = policy
        self._facts = facts
        self._rng = rng
        self._ask = Ask(facts, 0.0, rng)
        self._chain: Chain | None = None
        self._groups: tuple[Group, ...] = (group,)
        self._budget = group.retry_budget
        self._risk = 1.0
        self._kind: str | None = None
        self._error: CallError | None = None
        self._panicked = False
        self._pause = LEASE
        self._waited = False
        self._waiting: Waiting | None = None
        self._changes: dict[str, Any] | None = None
        self._meant: Attempt | None = None
        self.begun = False
        self.trail: list[Attempt] = []
        self._enter(group)

    @property
    def changes(self) -> dict[str, Any] | None:
        """What a fallback of the request's own, or the rest of an answer, wants different in the latest attempt."""
        return self.trail[-1].changes if self.trail else None

    @property
    def hedging(self) -> bool:
        return self._policy.settings.hedge is not None

    @property
    def continuation(self) -> ContinuationPolicy | None:
        return self._policy.settings.continuation

    @property
    def throughput_guard(self) -> ThroughputGuard | None:
        return self._policy.settings.throughput_guard

    def next(self, now: float) -> Step:
        """Whom to ask, how long to wait first, or that it is over. Never a Wait that no attempt could follow."""
        deadline = self._facts.deadline
        if deadline is not None and now >= deadline and self._error is not None:
            return self._over(now)
        while True:
            step = self._here(now)
            if step is not None:
                return step
            if not self._hop():
                return self._last_resort(now)

    def failed(self, error: BaseException, now: float, attempt: Attempt | None = None) -> None:
        """The attempt failed. Told twice, or before any attempt, it changes nothing."""
        ended = self._running(attempt)
        if ended is None:
            self._leave_line()
            return
        first = None if ended.first_token is None else ended.first_token - ended.began
        outcome = failure(error, seconds=now - ended.began, first_token=first)
        if outcome.kind == "timeout" and self._hurried(ended, now):
            outcome = Outcome(kind=CANCELLED, seconds=outcome.seconds)
        self._end(ended, outcome, now)
        if isinstance(error, CallError):
            self._error, self._kind = error, outcome.kind

    def started(self, now: float, attempt: Attempt | None = None) -> None:
        """Its first token has come."""
        begun = self._running(attempt)
        if begun is not None:
            first_token(begun, now)

    def succeeded(self, now: float, *, input_tokens: int = 0, output_tokens: int = 0, attempt: Attempt | None = None) -> None:
        """The answer is there as a whole. Told twice it changes nothing."""
        ended = self._running(attempt)
        if ended is None:
            return
        first = None if ended.first_token is None else ended.first_token - ended.began
        outcome = Outcome(seconds=now - ended.began, first_token=first, input_tokens=input_tokens, output_tokens=output_tokens)
        self._end(ended, outcome, now)

    def cancelled(self, now: float, attempt: Attempt | None = None) -> None:
        """The client left, or another attempt was quicker: nobody's fault. Without `attempt`, all that run."""
        if self._waited:
            self._waited = False
            self._budget.settle(self._risk, failed=False)
        if attempt is None:
            self._leave_line()
        for ended in self.trail if attempt is None else (attempt,):
            if ended.outcome is None:
                self._end(ended, Outcome(kind=CANCELLED, seconds=now - ended.began), now)

    def hedge_after(self) -> float | None:
        """Seconds after its begin at which the running attempt, still silent, is to be hedged; None for never."""
        hedge = self._policy.settings.hedge
        return None if hedge is None else hedge_after(hedge, self.trail[-1].node.speed, stream=self._facts.stream)

    def hedge(self, now: float) -> Attempt | None:
        """A second attempt elsewhere in the group, begun; None when nobody is there or the budget says no."""
        hedge, budget = self._policy.settings.hedge, self._groups[0].hedge_budget
        node = choose(self._group, self._at(now), {*self._tried, *self._policy.queues.ahead(self._group, None)})
        if hedge is None or budget is None or node is None or self._lease(node, now) is not None:
            return None
        if not may_hedge(hedge, budget, estimated_cost(node, self._facts)):
            return None
        self._begin(node, now, "hedge")
        return self.trail[-1]

    def won(self, attempt: Attempt, now: float) -> None:
        """It was the quicker one: the others are over, and from now on it is the one that is meant."""
        self._meant = attempt
        for other in self.trail:
            if other is not attempt:
                self.cancelled(now, other)

    def go_on(self, now: float, rest: Rest, instead: ThroughputGuard | None = None) -> Deployment | None:
        """Whom to ask for the rest of a stream that broke off, begun: another of the group, or else the same one; None when
        nobody can, or when the retry budget is spent. `instead` of one that crawls: another one, not known to crawl too.
        """
        nodes, crawling = self._group.nodes, [] if instead is None else self._crawling(instead)
        for changes, unfit in (
            (rest.by_prefill, [node for node in nodes if rest.by_prefill and not prefills(node)]),
            (rest.by_instruction, []),
        ):
            if changes is None:
                continue
            node = choose(self._group, self._at(now), [*self._tried, *unfit, *crawling])
            if node is None and instead is None:
                node = choose(self._group, self._at(now), unfit)
            if node is not None and self._lease(node, now) is None:
                self._changes = {**(self._changes or {}), **changes} or None
                self.begun = bool(changes) and changes is rest.by_prefill
                return self._begin(node, now, "continuation", risk=self._risk) if self._pay(_risk(node, now)) else None
        return None

    def _crawling(self, guard: ThroughputGuard) -> list[Node]:
        return [node for node in self._group.nodes if (node.speed.rate or guard.tokens_per_second) < guard.tokens_per_second]

    # The group the call is at

    def _enter(self, group: Group) -> None:
        self._group = group
        self._retry = self._policy.retry_of(group, self._facts)
        self._kind = None
        self._count = 0
        self._tried: list[Node] = []
        self._waited = False

    def _here(self, now: float) -> Step | None:
        """The next step within the group; None when it has nothing more to give."""
        kind = self._kind
        if kind is None:
            node = choose(self._group, self._at(now), self._ahead(now))
            return None if node is None else self._lease(node, now) or self._begin(node, now, "first")
        if not self._retry.allows(kind, self._count):
            return None
        node = choose(self._group, self._at(now), () if self._waited else self._tried)
        lease = None if node is None else self._lease(node, now)
        if lease is not None:
            return lease
        if self._waited:
            self._waited = False
            if node is not None:
                return self._begin(node, now, "retry", risk=self._risk)
            self._budget.settle(self._risk, failed=False)
            return None
        if node is None:
            return self._again(kind, now)
        return self._begin(node, now, "retry elsewhere", risk=self._risk) if self._pay(_risk(node, now)) else None

    def _again(self, kind: str, now: float) -> Wait | None:
        """All have been asked: one of them again, after a wait, if its failure was of the kind that passes."""
        if not self._retry.again(kind):
            return None
        wait = back_off(self._retry, self._count, self._rng)
        if choose(self._group, self._at(now)) is None:
            soonest = _soonest(drops_of(self._group, self._facts, now))
            if soonest is None or soonest > self._retry.max_wait or self._fallback_ahead():
                return None
            wait += soonest
        if not self._in_time(now + wait) or not self._pay(_risk(self.trail[-1].node, now)):
            return None
        self._waited = True
        return Wait(wait)

    def _lease(self, node: Node, now: float) -> Wait | None:
        """A moment to wait, where other processes have to be asked first whether its limits allow it."""
        limits = node.limits
        if limits is None:
            return None
        if limits.leased(self._ask.tokens, now):
            self._pause = LEASE
            return None
        pause, self._pause = self._pause, min(2.0 * self._pause, LONGEST_LEASE)
        return Wait(pause)

    def _at(self, now: float) -> Ask:
        self._ask.now = now
        return self._ask

    def _begin(self, node: Node, now: float, reason: str, *, risk: float | None = None) -> Deployment:
        tokens = self._ask.tokens
        begin_attempt(node, tokens, now)
        if self._waiting is not None:
            self._leave_line(served=True)
        attempt = self._meant = Attempt(node, now, reserved=tokens, risk=risk, reason=reason, changes=self._changes)
        self.trail.append(attempt)
        self._tried.append(node)
        self._count += 1
        return node.deployment

    def _running(self, attempt: Attempt | None) -> Attempt | None:
        """The attempt that is meant, if it has not ended."""
        meant = self._meant if attempt is None else attempt
        return meant if meant is not None and meant.outcome is None else None

    def _hurried(self, attempt: Attempt, now: float) -> bool:
        """Whether the caller's deadline has ended it before its usual time: then nobody but the caller was slow."""
        deadline, usual = self._facts.deadline, usual_seconds(attempt, self._facts)
        return deadline is not None and now >= deadline and usual is not None and now - attempt.began < usual

    def _end(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        if attempt.risk is not None:
            self._budget.settle(attempt.risk, failed=outcome.kind not in (SUCCESS, SLOW, CANCELLED))
        ejected = end_attempt(attempt, outcome, self._facts, now)
        if ejected and outcome.kind == "credential":
            self._policy.refuse_credential(attempt.node, now)
        if self._policy.queues:
            self._policy.queues.call((attempt.node,))

    # Beyond it

    def _hop(self) -> bool:
        """Go on to the next group of the chain, if the failure is of a kind that another group may mend."""
        kind = self._kind
        if kind is not None and not KINDS[kind].fallback:
            return False
        chain = self._chain
        if chain is None:
            chain = self._chain = Chain(self._policy.settings.fallbacks, self._group.name, self._facts.fallbacks)
        chain.failed(self._group.name, kind or self._why_nobody())
        while (hop := chain.next()) is not None:
            group = self._policy.find(hop.group)
            if group is not None and group not in self._groups:
                self._groups += (group,)
                self._changes = hop.changes or None
                self._enter(group)
                return True
        return False

    def _why_nobody(self) -> str | None:
        """A prompt too long for each of the group goes where such prompts go, before anybody has refused it."""
        if not self._facts.input_tokens:
            return None
        drops = drops_of(self._group, self._facts, 0.0)
        return "context_window" if drops and all(drop.kind == "window" for drop in drops) else None

    def _fallback_ahead(self) -> bool:
        return self._group.has_fallback or bool(self._facts.fallbacks)

    def _last_resort(self, now: float) -> Step:
        """Nobody is in. The least bad of those that are out by guess; else wait if asked to; else it is over."""
        untouched = self._error is None
        if not self._panicked and (untouched or self._may_panic()):
            self._panicked = True
            for group in self._groups:
                out = {*(attempt.node for attempt in self.trail), *self._policy.queues.ahead(group, None)}
                node = choose_out(group, self._at(now), out)
                if node is not None and (lease := self._lease(node, now)) is not None:
                    self._panicked = False
                    return lease
                if node is not None and (untouched or self._pay(1.0)):
                    return self._begin(node, now, "panic: nobody is in", risk=None if untouched else 1.0)
        return self._in_line(now) if untouched else self._over(now)

    def _may_panic(self) -> bool:
        return self._kind is not None and KINDS[self._kind].again and self._retry.allows(self._kind, len(self.trail))

    def _in_line(self, now: float) -> Step:
        """Nothing was sent yet: wait for a turn, where the caller or the configuration has it so."""
        waiting = self._waiting = self._waiting or Waiting(self._policy, self._groups[0], self._facts)
        step = waiting.step(self._groups, now)
        if step is None:
            return self._over(now)
        self._chain, self._groups, self._panicked = None, self._groups[:1], False
        self._changes = None
        self._enter(self._groups[0])
        return step

    def _ahead(self, now: float) -> Collection[Node]:
        """Whom of the group others wait for, who come before this call."""
        if self._waiting is None:
            if not self._policy.queues:
                return ()
            self._waiting = Waiting(self._policy, self._groups[0], self._facts)
        return self._waiting.ahead(self._group, now)

    def _leave_line(self, *, served: bool = False) -> None:
        if self._waiting is not None:
            self._waiting.leave(served=served)

    def _over(self, now: float) -> Exhausted:
        drops, refusal = self.drops(now), self._waiting.refusal if self._waiting else ""
        soonest = _soonest(drops) or (LATER if refusal else None)
        error = self._error or nobody(self._groups[0].name, drops, soonest, refusal)
        self._leave_line()
        return Exhausted(error=error, drops=drops, retry_after=soonest)

    def drops(self, now: float) -> tuple[Drop, ...]:
        """Who of the groups the call has come to cannot be asked now, and why."""
        return tuple(drop for group in self._groups for drop in drops_of(group, self._facts, now))

    def _pay(self, risk: float) -> bool:
        """From the budget of the group that was asked for, whichever the call has come to."""
        self._risk = risk
        return self._budget.take(risk)

    def _in_time(self, moment: float) -> bool:
        deadline = self._facts.deadline
        return deadline is None or moment < deadline


def nobody(group: str, drops: tuple[Drop, ...], soonest: float | None, refusal: str = "") -> DragomanError:
    """The error for a call that nobody could be asked, with the reasons in it. `refusal`: why it waits for nobody either."""
    reasons = [refusal] if refusal else []
    reasons += [f"{drop.deployment}: {drop.reason}" for drop in drops[:8]]
    told = "; ".join(reasons) or "it has no deployments"
    more = f"; and {len(drops) - 8} more" if len(drops) > 8 else ""
    message = f"no deployment of {group!r} can be asked: {told}{more}"
    if drops and all(drop.kind == "window" for drop in drops):
        detail = ErrorDetail(message=message, code="context_length_exceeded")
        return ContextWindowExceededError(message, detail=detail, attempts=0)
    if soonest is not None or any(drop.kind == "limit" for drop in drops):
        return NoCapacityError(message, drops=drops, retry_after=soonest)
    return NoDeploymentError(message, drops=drops)


def _risk(node: Node, now: float) -> float:
    return 1.0 - success_rate(node.health, node.group.health, now)


def _soonest(drops: tuple[Drop, ...]) -> float | None:
    waits = [drop.retry_after for drop in drops if drop.retry_after is not None]
    return min(waits) if waits else None
