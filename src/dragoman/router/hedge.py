"""A second attempt while the first is still silent: after the learnt 95th percentile of its time to first token.

Off unless asked for, within a budget of requests and of money; the engine runs both, the first token wins, the loser is
cancelled and its cost recorded. Pure: this says when, and whether the budget allows it.
"""

from __future__ import annotations

from msgspec import Struct

from dragoman.router.retry import Budget
from dragoman.router.speed import Speed


class HedgePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`share`: hedges per request, with `reserve` saved up at most. `quantile` of the time to first token (of answers that come
    whole, to their end), not under `at_least` seconds. `most_cost`: nano-dollars that a hedge may cost by estimate, or None.
    """

    share: float = 0.05
    reserve: float = 3.0
    quantile: float = 0.95
    at_least: float = 0.05
    most_cost: int | None = None

    def budget(self) -> Budget:
        return Budget(share=self.share, reserve=self.reserve)


def hedge_after(policy: HedgePolicy, speed: Speed, *, stream: bool) -> float | None:
    """Seconds after its begin at which a silent attempt is hedged; None while its speed is not known well enough."""
    learnt = speed.quantile(policy.quantile, stream=stream)
    return None if learnt is None else max(policy.at_least, learnt)


def may_hedge(policy: HedgePolicy, budget: Budget, cost: int | None) -> bool:
    """Takes from the budget when it says yes. `cost` is the estimate in nano-dollars, None when no price is known."""
    if policy.most_cost is not None and (cost is None or cost > policy.most_cost):
        return False
    return budget.take()
