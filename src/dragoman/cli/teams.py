"""The commands `dragoman teams create | list | delete`: straight in the gateway's database, by the admin API's handlers."""

from __future__ import annotations

from typing import Any

import click

from dragoman.cli.keys import database_option, run

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, with all there is to know.")


@click.group()
def teams() -> None:
    """Teams: their keys share models, budgets and limits."""


@teams.command()
@database_option
@click.option("--id", "team_id", help="What keys name it by; one is made up without.")
@click.option("--alias", "team_alias", help="A name for people.")
@click.option("--organization", "organization_id", help="The id of an organisation that is there.")
@click.option("--model", "models", multiple=True, help="A model its keys may use, or a glob such as openai/*. May be repeated.")
@click.option("--max-budget", type=float, help="USD, of all its keys together.")
@click.option("--budget-duration", help="Of each window of the budget: 1d, 30d, 1mo.")
@click.option("--rpm", "rpm_limit", type=int, help="Requests a minute.")
@click.option("--tpm", "tpm_limit", type=int, help="Tokens a minute.")
@json_option
def create(database: str, models: tuple[str, ...], *, as_json: bool, **fields: Any) -> None:
    """Make a team and print its id."""
    from dragoman.gateway.admin.places import PLACES  # noqa: PLC0415 - only this command needs the gateway

    asked = {name: value for name, value in fields.items() if value is not None} | ({"models": models} if models else {})
    made = run(database, PLACES["team"].new, body=encoded(asked).encode())
    click.echo(encoded(made) if as_json else made["team_id"])


@teams.command(name="list")
@database_option
@json_option
def list_teams(database: str, *, as_json: bool) -> None:
    """List teams: id, alias, what was spent of what, state."""
    from dragoman.gateway.admin.places import PLACES  # noqa: PLC0415 - as above

    found = run(database, PLACES["team"].listed, query={"page_size": "1000"})
    if as_json:
        click.echo(encoded(found["teams"]))
        return
    for team in found["teams"]:
        budget = "" if team["max_budget"] is None else f" of ${team['max_budget']:g}"
        state = "blocked" if team["blocked"] else "good"
        click.echo(f"{team['team_id']:<36}  {team['team_alias'] or '-':<24} ${team['spend']:.4f}{budget:<12} {state}")


@teams.command()
@database_option
@click.argument("team")
def delete(database: str, team: str) -> None:
    """Delete TEAM, by its id, with its keys and members. What they spent stays in the ledger."""
    from dragoman.gateway.admin.places import PLACES  # noqa: PLC0415 - as above

    gone = run(database, PLACES["team"].delete, body=encoded({"team_ids": [team]}).encode())
    click.echo(f"deleted {team} and {len(gone['deleted_keys'])} keys")


def encoded(value: Any) -> str:
    import msgspec  # noqa: PLC0415 - as above

    return msgspec.json.encode(value).decode()
