"""Made-up troubles to compare policies in: each is a few simulated deployments and the requests that come. Pure data.

Played by `simulate.run`; `dragoman simulate` prints what came of it. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from dragoman.router.deployment import Terms
from dragoman.router.simulate import Behaviour, Phase, Place, Request, steady


class Scenario(Struct, frozen=True, kw_only=True):
    """`requests` makes the load from (requests a second, seconds, seed)."""

    about: str
    places: tuple[Place, ...]
    requests: Callable[..., list[Request]] = steady


_EVER = float("inf")
_NORMAL = Behaviour()


def _places(troubled: Behaviour, *, healthy: int = 2, terms: Terms | None = None) -> tuple[Place, ...]:
    """One in trouble beside some that are well."""
    one = Place(id="troubled", behaviour=troubled) if terms is None else Place(id="troubled", behaviour=troubled, terms=terms)
    return (one, *(Place(id=f"well-{number}", behaviour=_NORMAL) for number in range(1, healthy + 1)))


def _outage(start: float, end: float, *, share: float = 1.0, kind: str = "server") -> Behaviour:
    return Behaviour(phases=(Phase(start=start, end=end, share=share, kind=kind),))


def _flapping() -> Behaviour:
    return Behaviour(phases=tuple(Phase(start=at, end=at + 10.0) for at in range(10, 600, 20)))


def _priced(name: str, price: int, behaviour: Behaviour = _NORMAL) -> Place:
    """`price`: nano-dollars per million tokens, in and out."""
    return Place(id=name, behaviour=behaviour, terms=Terms(input_rate=price, output_rate=4 * price))


SCENARIOS: dict[str, Scenario] = {
    "calm": Scenario(about="three that are well", places=_places(_NORMAL)),
    "brown-out": Scenario(about="one of three fails every third request", places=_places(_outage(30.0, _EVER, share=0.33))),
    "outage": Scenario(about="one of three is down for a minute", places=_places(_outage(30.0, 90.0))),
    "total-outage": Scenario(
        about="all three are down for a minute",
        places=tuple(Place(id=f"m-{number}", behaviour=_outage(30.0, 90.0)) for number in range(3)),
    ),
    "rate-limits": Scenario(
        about="one of three takes 30 requests a minute and answers 429 to the others", places=_places(Behaviour(rpm=30))
    ),
    "slow-poison": Scenario(
        about="one of three becomes ten times slower",
        places=_places(Behaviour(phases=(Phase(start=30.0, kind=None, slower=10.0),))),
    ),
    "hanging": Scenario(
        about="one of three takes requests and never answers",
        places=_places(Behaviour(phases=(Phase(start=30.0, kind="timeout", after=30.0),))),
    ),
    "flapping": Scenario(about="one of three is down every other ten seconds", places=_places(_flapping())),
    "cost-shock": Scenario(
        about="the cheapest of three, at a tenth of the price, is down for a minute",
        places=(
            _priced("cheap", 100_000_000, _outage(30.0, 90.0)),
            _priced("usual", 1_000_000_000),
            _priced("spare", 1_000_000_000),
        ),
    ),
    "cold-start": Scenario(
        about="ten of which nothing is known, from very quick to slow",
        places=tuple(Place(id=f"m-{number}", behaviour=Behaviour(first_token=0.1 * 1.5**number)) for number in range(10)),
    ),
    "thousand": Scenario(
        about="a thousand deployments, of which two hundred are down",
        places=tuple(
            Place(id=f"m-{number}", behaviour=_outage(0.0, _EVER) if number % 5 == 0 else _NORMAL) for number in range(1000)
        ),
    ),
}
