"""The command `dragoman usage`: what was used and what it cost, summed up, straight from the gateway's database."""

from __future__ import annotations

import click

from dragoman.cli.keys import database_option, run
from dragoman.cli.teams import encoded, json_option

_GROUPS = ("day", "model", "provider", "team", "user", "key", "organization", "end_user", "tag", "operation")


@click.command()
@database_option
@click.option("--by", type=click.Choice(_GROUPS), default="day", show_default=True, help="What it is summed up by.")
@click.option("--since", "start_date", default="", help="From this day or time on (2026-11-24; UTC).")
@click.option("--until", "end_date", default="", help="To the end of this day, or before this time.")
@click.option("--team", "team_id", default="", help="Only that of this team.")
@click.option("--user", "user_id", default="", help="Only that of this user.")
@click.option("--key", "api_key", default="", help="Only that of the key with this id.")
@json_option
def usage(database: str, by: str, *, as_json: bool, **chosen: str) -> None:
    """What was used and what it cost, the dearest first: calls, tokens in and out, USD."""
    from dragoman.gateway.admin import spend  # noqa: PLC0415 - only this command needs the gateway

    found = run(database, spend.by(by), query=chosen)
    if as_json:
        click.echo(encoded(found))
        return
    for line in found:
        failed = f", {line['failed_requests']} failed" if line["failed_requests"] else ""
        tokens = f"{line['prompt_tokens']} in, {line['completion_tokens']} out"
        click.echo(f"{line[by] or '-':<36}  ${line['spend']:<12.4f} {line['requests']} calls{failed}; {tokens}")
    total = sum(line["spend"] for line in found)
    click.echo(f"{'in all' if by != 'tag' else 'of all tags':<36}  ${total:.4f}")
