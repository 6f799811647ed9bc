"""Passive health: a deployment that fails is left alone for a while, then asked by one real request, then used again.

What takes it out: failures in a row, or the success rate in a window; one 401 (with all that share its credential); a 429
until the time it names. A 400 never does. The time out doubles with each return to failure. Pure functions over `Health`;
`state` applies them, with the cap on how many of a group may be out.
"""

from __future__ import annotations

from msgspec import Struct

from dragoman.router.outcome import KINDS, SUCCESS, Outcome

RATE_LIMIT = "rate_limit"


class HealthPolicy(Struct, frozen=True, kw_only=True):
    """`failures` in a row, or a success rate below `lowest_rate` with at least `enough` outcomes in `window` to twice `window`
    seconds, eject for `base * 2**n` seconds, at most `longest`. `allowed`: kind of failure -> how many in a row for it alone.
    A 429 that names no time counts as `rate_limited` seconds; what it names is obeyed up to `longest_named` seconds.
    `most_out`: the share of a group that guesses may take out. A half-open probe that never ends holds `probe_hold` seconds.
    """

    enabled: bool = True
    failures: int = 5
    lowest_rate: float = 0.5
    enough: int = 10
    window: float = 30.0
    base: float = 5.0
    longest: float = 300.0
    rate_limited: float = 1.0
    longest_named: float = 3600.0
    refused_base: float = 60.0
    allowed: dict[str, int] = {}
    most_out: float = 0.75
    probe_hold: float = 120.0


class Health:
    """The state of one deployment. `out` is why it is out, "" when it is in; `until` when that ends; `told`: the provider said
    so, which no panic overrides. `strikes` counts ejections in a row. `probing` is when the half-open request began.
    """

    __slots__ = (
        "bad",
        "by_kind",
        "good",
        "in_a_row",
        "old_bad",
        "old_good",
        "out",
        "probing",
        "returned",
        "row_since",
        "since",
        "strikes",
        "told",
        "turn",
        "until",
    )

    def __init__(self) -> None:
        self.out = ""
        self.until = 0.0
        self.since = 0.0
        self.told = False
        self.strikes = 0
        self.returned = float("-inf")
        self.probing: float | None = None
        self.in_a_row = 0
        self.row_since = 0.0
        self.by_kind: dict[str, int] = {}
        self.good = self.bad = self.old_good = self.old_bad = 0
        self.turn = 0.0


def admits(health: Health, policy: HealthPolicy, now: float) -> bool:
    """Whether it may be asked: it is in, or its time is over and no probe is under way. A named wait ends by itself."""
    if not health.out:
        return True
    if now < health.until:
        return False
    if health.out == RATE_LIMIT:
        _return(health, now)
        return True
    return health.probing is None or now - health.probing >= policy.probe_hold


def begin(health: Health, now: float) -> None:
    """An attempt begins; on one that is out and due it is the probe."""
    if health.out and now >= health.until:
        health.probing = now


def answered(health: Health, began: float) -> None:
    """An attempt has begun to answer, or has: failures before it are no row any more, unless it had begun before they did."""
    if began >= health.row_since:
        health.in_a_row = 0
        health.by_kind.clear()


def success_rate(health: Health, policy: HealthPolicy, now: float) -> float:
    """Between 0 and 1 over the window, with two successes given in advance: the unknown counts as good."""
    _turn(health, policy, now)
    good = health.good + health.old_good + 2
    return good / (good + health.bad + health.old_bad)


def record(
    health: Health,
    policy: HealthPolicy,
    outcome: Outcome,
    *,
    began: float,
    now: float,
    room: bool = True,
    base: float | None = None,
) -> bool:
    """Take in an outcome of an attempt that began at `began`. True when it ejected the deployment, or did so again.

    `room`: whether the cap allows one more that is out by guess. `base` replaces the policy's.
    """
    probe = health.probing is not None and began == health.probing
    if probe:
        health.probing = None
    kind = outcome.kind
    if kind == SUCCESS:
        _succeeded(health, policy, began, now)
        return False
    rules = KINDS[kind]
    if not policy.enabled or not (rules.counts or rules.at_once):
        return False
    if kind == RATE_LIMIT:
        return _rate_limited(health, policy, outcome, now, room=room)
    if health.out and not probe:
        return False  # it was asked before it went out, or in a panic: nothing new
    if rules.counts:
        _failed(health, policy, kind, now)
    due = rules.at_once or probe or _over(health, policy, kind)
    if not due or not (room or rules.at_once or health.out):
        return False
    first = policy.refused_base if rules.at_once else policy.base if base is None else base
    eject(health, policy, kind, first, now)
    return True


def eject(health: Health, policy: HealthPolicy, why: str, base: float, now: float) -> None:
    """Out for `base * 2**n` seconds: n grows while it comes back only to fail, and starts anew after a good while."""
    lasted = now - health.returned
    health.strikes = health.strikes + 1 if health.out or lasted < policy.longest else 1
    health.out, health.told, health.since, health.probing = why, False, now, None
    health.until = now + min(policy.longest, base * 2.0 ** min(health.strikes - 1, 30))
    health.in_a_row = 0
    health.by_kind.clear()


def hear(health: Health, why: str, *, told: bool, seconds: float, now: float, room: bool) -> bool:
    """Another process has taken it out, for so long from `now`: so it is here. It is no strike, since nobody failed here.

    `room` as in `record`. False when nothing changed: it is out for longer already, or the cap allows no more guesses.
    """
    until = now + seconds
    at_once = why in KINDS and KINDS[why].at_once
    if (health.out and health.until >= until) or not (health.out or at_once or room):
        return False
    health.out, health.told, health.since, health.until, health.probing = why, told, now, until, None
    return True


def _succeeded(health: Health, policy: HealthPolicy, began: float, now: float) -> None:
    _turn(health, policy, now)
    health.good += 1
    if health.in_a_row:
        answered(health, began)
    if health.out and health.out != RATE_LIMIT and began >= health.since:
        _return(health, now)


def _return(health: Health, now: float) -> None:
    """In again, with a clean window: old failures must not eject it at the next one."""
    if health.out != RATE_LIMIT:
        health.good, health.bad, health.old_good, health.old_bad = 1, 0, 0, 0
        health.returned = now
    health.out, health.told, health.probing, health.in_a_row = "", False, None, 0


def _rate_limited(health: Health, policy: HealthPolicy, outcome: Outcome, now: float, *, room: bool) -> bool:
    """Out until the time the provider named. Without one it is a guess, and guesses heed the cap."""
    named = outcome.retry_after
    if health.out and health.out != RATE_LIMIT:
        return False
    if named is None and not room:
        return False
    until = now + min(policy.rate_limited if named is None else named, policy.longest_named)
    if health.out and until <= health.until:
        return False
    health.out, health.told, health.until, health.since = RATE_LIMIT, named is not None, until, now
    return True


def _failed(health: Health, policy: HealthPolicy, kind: str, now: float) -> None:
    _turn(health, policy, now)
    health.bad += 1
    if not health.in_a_row:
        health.row_since = now
    health.in_a_row += 1
    if policy.allowed:
        health.by_kind[kind] = health.by_kind.get(kind, 0) + 1


def _over(health: Health, policy: HealthPolicy, kind: str) -> bool:
    allowed = policy.allowed.get(kind)
    if allowed is not None:
        return health.by_kind.get(kind, 0) > allowed
    total = health.good + health.old_good + health.bad + health.old_bad
    too_many = total >= policy.enough and health.bad + health.old_bad > total * (1 - policy.lowest_rate)
    return too_many or health.in_a_row >= policy.failures


def _turn(health: Health, policy: HealthPolicy, now: float) -> None:
    """Two halves, of which the older is forgotten: the window is between one and two `window` seconds long."""
    if now < health.turn:
        return
    fresh = now < health.turn + policy.window
    health.old_good, health.old_bad = (health.good, health.bad) if fresh else (0, 0)
    health.good = health.bad = 0
    health.turn = now + policy.window
