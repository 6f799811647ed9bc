"""What a decision of the router costs: microseconds and memory, by the number of deployments in the group.

    python bench/decisions.py

A decision is `Policy.begin` and `Session.next`; "with outcome" adds that the first token and the end are told, as the engine
does. Sessions run in turns over a group whose deployments are all known, 16 requests in flight. The figure is the least of
interleaved rounds, since whatever else the machine does only adds to it. Nothing is sent anywhere.

    python bench/decisions.py run 10 2000      so many calls and no more, for callgrind
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import deque
from random import Random
from time import perf_counter

from dragoman.providers.base import Provider, Target
from dragoman.router.deployment import Deployment
from dragoman.router.model_list import ModelList
from dragoman.router.policy import Policy
from dragoman.router.session import Session
from dragoman.router.state import RequestFacts

SIZES = (2, 10, 100, 1000)
ROUNDS = 300
CALLS = 100
IN_FLIGHT = 16
FACTS = RequestFacts(group="m", stream=True, input_tokens=500, output_tokens=100)


def models_of(size: int) -> ModelList:
    row = Provider(name="acme", base_url="https://acme.test/v1")
    targets = [Target(provider=row, model=f"m{n}", base_url=row.base_url, api_key=f"k{n}") for n in range(size)]
    return ModelList(groups={"m": tuple(Deployment(target, group="m", id=f"d{n}") for n, target in enumerate(targets))})


class World:
    """A policy, and its requests in flight; `now` goes on by a millisecond a call."""

    def __init__(self, models: ModelList) -> None:
        self.policy = Policy(models)
        self.rng = Random(1)
        self.now = 1000.0
        self.open: deque[Session] = deque()
        for node in self.policy.group("m").nodes:
            for _ in range(3):
                session = self.policy.begin(RequestFacts(group="m", stream=True, deployment=node.deployment.id), self.rng)
                session.next(self.now)
                session.started(self.now + 0.5)
                session.succeeded(self.now + 2.0, input_tokens=500, output_tokens=100)
        self.run(IN_FLIGHT)

    def run(self, calls: int) -> tuple[float, float]:
        """Seconds for so many decisions, and for telling how those before them went."""
        policy, rng, sessions = self.policy, self.rng, []
        clock, now = perf_counter, self.now
        before = clock()
        for _ in range(calls):
            now += 0.001
            session = policy.begin(FACTS, rng)
            session.next(now)
            sessions.append(session)
        between = clock()
        self.open.extend(sessions)
        ending = [self.open.popleft() for _ in range(len(self.open) - IN_FLIGHT)]
        begins = clock()
        for session in ending:
            now += 0.001
            session.started(now)
            session.succeeded(now + 1.0, input_tokens=500, output_tokens=100)
        ended = clock()
        self.now = now
        return between - before, ended - begins


def kilobytes(size: int) -> float:
    """Memory of a policy for each deployment, with what it has learnt of it, without the configuration."""
    tracemalloc.start()
    models = models_of(size)
    before, _ = tracemalloc.get_traced_memory()
    world = World(models)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del world
    return (after - before) / size / 1000


def main() -> None:
    worlds = {size: World(models_of(size)) for size in SIZES}
    rounds: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    for _ in range(ROUNDS):
        for size, world in worlds.items():
            rounds[size].append(world.run(CALLS))
    print(f"{'deployments':>11}{'decision us':>13}{'with outcome us':>17}")
    for size, seen in rounds.items():
        decision, outcome = (min(times) / CALLS * 1e6 for times in zip(*seen, strict=True))
        print(f"{size:>11}{decision:>13.1f}{decision + outcome:>17.1f}")
    print(f"memory of each deployment: {kilobytes(1000):.1f} kB")


if __name__ == "__main__":
    gc.disable()
    if sys.argv[1:2] == ["run"]:
        World(models_of(int(sys.argv[2]))).run(int(sys.argv[3]))
    else:
        main()
