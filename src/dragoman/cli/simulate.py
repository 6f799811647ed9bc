"""`dragoman simulate`: the router's own policy in virtual time, strategy beside strategy, over made-up troubles or a log.

Nothing is sent anywhere and the same seed gives the same figures. The work is in `router.simulate`; this prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dragoman.router.simulate import Place, Request
    from dragoman.router.state import Settings

Case = tuple[str, "Sequence[Place]", "Sequence[Sequence[Request]]"]
"""Name, places, and one load for each seed."""

_COLUMNS = ("scenario", "policy", "served", "calls/request", "p50 s", "p95 s", "p99 s", "cost $")


@click.command()
@click.option("--scenario", "-s", "scenarios", multiple=True, help="Which trouble; all but `thousand` if none is named.")
@click.option("--strategy", "strategies", multiple=True, help="Which strategies; all if neither they nor a policy are named.")
@click.option("--policy", "-p", "policies", multiple=True, type=click.Path(exists=True, dir_okay=False), help="A YAML file.")
@click.option(
    "--log", type=click.Path(exists=True, dir_okay=False), help="JSON lines of calls that were made, in place of one."
)
@click.option("--rate", default=5.0, show_default=True, type=click.FloatRange(0.01, 1000.0), help="Requests a second.")
@click.option("--seconds", default=180.0, show_default=True, type=click.FloatRange(1.0, 86400.0), help="How long they come.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 100), help="Runs that are averaged.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line in place of a table.")
def simulate(  # noqa: PLR0917 - the options of the command
    scenarios: tuple[str, ...],
    strategies: tuple[str, ...],
    policies: tuple[str, ...],
    log: str | None,
    rate: float,
    seconds: float,
    seeds: int,
    *,
    as_json: bool,
) -> None:
    """Compare routing policies in virtual time: who was served, at how many calls, how soon, for how much.

    --policy takes the `router` of a configuration. --log takes lines such as {"at": 12.5, "deployment": "a", "kind": "success",
    "seconds": 1.2, "first_token": 0.4, "input_tokens": 500, "output_tokens": 90}: its deployments behave as they did there.
    """
    chosen = {
        **_settings_of_strategies(strategies, some=bool(policies)),
        **{path: _settings_of_file(path) for path in policies},
    }
    cases = [_logged(log, seeds)] if log else _made_up(scenarios, rate, seconds, seeds)
    rows = [row for case in cases for row in _rows(case, chosen)]
    if as_json:
        _print_json(rows)
    else:
        _print_table([_shown(row) for row in rows])


def _settings_of_strategies(names: Sequence[str], *, some: bool) -> dict[str, Settings]:
    from dragoman.router.balance import STRATEGIES  # noqa: PLC0415 - only this command simulates
    from dragoman.router.state import Settings  # noqa: PLC0415 - as above

    for name in names:
        if name not in STRATEGIES:
            raise click.BadParameter(f"{name!r}; there are: {', '.join(STRATEGIES)}", param_hint="--strategy")
    wanted = names or (() if some else tuple(name for name in STRATEGIES if name != "usage-based-routing"))
    return {name: Settings(strategy=name) for name in wanted}


def _settings_of_file(path: str) -> Settings:
    """Of the file's router: all but its fallbacks, since there is one group here."""
    import os  # noqa: PLC0415 - only for files

    from msgspec.structs import replace  # noqa: PLC0415 - as above

    from dragoman.gateway.config import Config  # noqa: PLC0415 - as above
    from dragoman.gateway.router_config import settings  # noqa: PLC0415 - as above
    from dragoman.gateway.yaml_config import convert, parse  # noqa: PLC0415 - as above
    from dragoman.router.fallback import Fallbacks  # noqa: PLC0415 - as above

    document = parse(Path(path).read_text(encoding="utf-8"), file=path, env=os.environ)
    config = convert(document, Config)
    return replace(settings(document, config.router, retries=config.retries), fallbacks=Fallbacks())


def _made_up(names: Sequence[str], rate: float, seconds: float, seeds: int) -> list[Case]:
    from dragoman.router.scenarios import SCENARIOS  # noqa: PLC0415 - only this command simulates

    for name in names:
        if name not in SCENARIOS:
            raise click.BadParameter(f"{name!r}; there are: {', '.join(SCENARIOS)}", param_hint="--scenario")
    wanted = names or tuple(name for name in SCENARIOS if name != "thousand")
    return [
        (name, SCENARIOS[name].places, [SCENARIOS[name].requests(rate, seconds, seed) for seed in range(seeds)])
        for name in wanted
    ]


def _logged(path: str, seeds: int) -> Case:
    import msgspec  # noqa: PLC0415 - only for logs

    from dragoman.router.simulate import Upstream, fitted  # noqa: PLC0415 - only this command simulates

    decode = msgspec.json.Decoder(Upstream).decode
    calls = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        try:
            calls += [decode(line)] if line.strip() else []
        except msgspec.DecodeError as problem:
            raise click.BadParameter(f"{path}:{number}: {problem}", param_hint="--log") from None
    if not calls:
        raise click.BadParameter(f"{path}: there are no calls in it", param_hint="--log")
    places, requests = fitted(calls)
    return Path(path).name, places, [requests] * seeds


def _rows(case: Case, chosen: dict[str, Settings]) -> Iterable[dict[str, Any]]:
    """One for each policy: the figures, averaged over the seeds."""
    from dragoman.router.simulate import run  # noqa: PLC0415 - only this command simulates

    name, places, loads = case
    for policy, settings in chosen.items():
        told = [run(places, load, settings, seed=seed).summary() for seed, load in enumerate(loads)]
        yield {"scenario": name, "policy": policy, **{key: fmean(one[key] for one in told) for key in told[0]}}


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    times = (f"{row[key]:.2f}" for key in ("p50", "p95", "p99"))
    cost = f"{row['cost'] / 1e9:.4f}" if row["cost"] else "-"
    return row["scenario"], row["policy"], f"{row['success_rate']:.2%}", f"{row['amplification']:.3f}", *times, cost


def _print_table(rows: list[tuple[str, ...]]) -> None:
    """Names to the left, figures to the right; a blank line between scenarios."""
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    before = None
    for row in (_COLUMNS, *rows):
        if before not in (None, row[0], _COLUMNS[0]):
            click.echo()
        before = row[0]
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def _print_json(rows: list[dict[str, Any]]) -> None:
    from dragoman.core import json  # noqa: PLC0415 - only here

    for row in rows:
        click.echo(json.encode(row).decode())
