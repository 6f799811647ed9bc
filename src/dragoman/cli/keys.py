"""The commands `dragoman keys create | list | revoke`: virtual keys straight in the gateway's database, without a gateway.

They do what the admin API does, by its handlers, as the admin. A running gateway hears of it within a second.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dragoman.gateway.admin.desk import Ask, Desk

_ACTOR = "command line"

database_option = click.option(
    "--database",
    envvar="DRAGOMAN_DATABASE",
    show_envvar=True,
    required=True,
    help="sqlite:///FILE, or postgresql://USER@HOST/NAME.",
)


@click.group()
def keys() -> None:
    """The virtual keys that a gateway gives out."""


@keys.command()
@database_option
@click.option("--alias", help="A name for people.")
@click.option("--team", help="The id of a team that is there.")
@click.option("--user", help="The id of a user that is there.")
@click.option("--model", "models", multiple=True, help="A model it may use, or a glob such as openai/*. May be repeated.")
@click.option("--max-budget", type=float, help="USD.")
@click.option("--budget-duration", help="Of each window of the budget: 1d, 30d, 1mo.")
@click.option("--rpm", type=int, help="Requests a minute.")
@click.option("--tpm", type=int, help="Tokens a minute.")
@click.option("--duration", help="How long it is good: 12h, 30d.")
@click.option("--admin", is_flag=True, help="A key for the admin API, which may do everything.")
def create(database: str, models: tuple[str, ...], *, admin: bool, **fields: Any) -> None:
    """Make a key and print it. It is shown this once."""
    from dragoman.gateway.admin import keys as handlers  # noqa: PLC0415 - only this command needs the gateway
    from dragoman.gateway.admin.shapes import Asked  # noqa: PLC0415 - as above

    named = {_FIELDS[name]: value for name, value in fields.items() if value is not None}
    if models:
        named["models"] = list(models)
    if admin:
        named |= {"user_role": "proxy_admin", "key_type": "management"}
    made = run(database, lambda desk, ask: handlers.create(desk, ask, Asked(**named)))
    click.echo(made["key"])
    click.echo(f"id {made['token_id']}; keep the key now, it is not shown again", err=True)


_FIELDS = {
    "alias": "key_alias",
    "team": "team_id",
    "user": "user_id",
    "max_budget": "max_budget",
    "budget_duration": "budget_duration",
    "rpm": "rpm_limit",
    "tpm": "tpm_limit",
    "duration": "duration",
}


@keys.command(name="list")
@database_option
@click.option("--team", default="", help="Only those of this team.")
@click.option("--user", default="", help="Only those of this user.")
def list_keys(database: str, team: str, user: str) -> None:
    """List keys: id, what may be seen of it, alias, what was spent of what, state."""
    from dragoman.gateway.admin import keys as handlers  # noqa: PLC0415 - as above

    query = {"team_id": team, "user_id": user, "size": "1000", "return_full_object": "true"}
    found = run(database, handlers.listed, query=query)
    for key in found["keys"]:
        budget = "" if key["max_budget"] is None else f" of ${key['max_budget']:g}"
        state = "blocked" if key["blocked"] else f"until {key['expires']}" if key["expires"] else "good"
        alias = key["key_alias"] or "-"
        click.echo(f"{key['token_id']}  {key['key_name']:<14} {alias:<24} ${key['spend']:.4f}{budget:<12} {state}")
    shown, total = len(found["keys"]), found["total_count"]
    if shown < total:
        click.echo(f"{shown} of {total}: choose a team or a user to see others", err=True)


@keys.command()
@database_option
@click.argument("key")
def revoke(database: str, key: str) -> None:
    """Delete KEY: its id, its hash, or the key itself. What it spent stays in the ledger."""
    from dragoman.core import json  # noqa: PLC0415 - as above
    from dragoman.gateway.admin import keys as handlers  # noqa: PLC0415 - as above

    gone = run(database, handlers.delete, body=json.encode({"keys": [key]}))
    click.echo(f"deleted {', '.join(gone['deleted_keys'])}")


def run(database: str, handler: Callable[[Desk, Ask], Awaitable[Any]], **asked: Any) -> Any:
    """What a handler of the admin API answers over this database. `asked` are fields of its `Ask`."""
    from dragoman.gateway.admin.desk import Ask, Desk  # noqa: PLC0415 - as above
    from dragoman.gateway.governance.identity import Identity  # noqa: PLC0415 - as above
    from dragoman.gateway.governance.scopes import RIGHTS, Scope  # noqa: PLC0415 - as above
    from dragoman.gateway.store.shipping import Pace, begin  # noqa: PLC0415 - as above

    admin = Identity("", (Scope(kind="key", id=_ACTOR, alias=_ACTOR, role="admin", rights=RIGHTS),))

    async def work() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            governance, shipping = await begin(database=database, journal=Path(folder), pace=Pace(shared=False))
            try:
                return await handler(Desk(governance, shipping), Ask(admin, time.time(), **asked))
            finally:
                await shipping.stop()

    return asyncio.run(work())
