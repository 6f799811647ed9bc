"""The commands, as click sees them. Each is a few lines over the package; the work is elsewhere."""

from __future__ import annotations

import os

import click

from dragoman.cli.demo_upstream import demo_upstream
from dragoman.cli.explain import config_option, diff, explain
from dragoman.cli.keys import keys
from dragoman.cli.ledger import ledger
from dragoman.cli.local import local
from dragoman.cli.simulate import simulate
from dragoman.cli.stored import reseal
from dragoman.cli.teams import teams
from dragoman.cli.usage import usage


@click.group(no_args_is_help=True)
def app() -> None:
    """One call to any language model: a gateway and a guide that speak every provider's dialect."""


app.add_command(keys)
app.add_command(ledger)
app.add_command(local)
app.add_command(demo_upstream)
app.add_command(explain)
app.add_command(diff)
app.add_command(simulate)
app.add_command(reseal)
app.add_command(teams)
app.add_command(usage)


@app.command()
@config_option
@click.option("--host", help="The address to listen on; the configuration's, or 127.0.0.1.")
@click.option("--port", type=int, help="0 picks a free one; the configuration's, or 4000.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that serve; the configuration's, or 1.")
@click.option("--fd", type=int, hidden=True, help="Serve from this descriptor, as a worker.")
def serve(config: str | None, host: str | None, port: int | None, workers: int | None, fd: int | None) -> None:
    """Run the gateway.

    Without --config it serves the local models, and every provider/model whose key is in the environment. With --workers
    SIGHUP replaces them one by one, for a new configuration.
    """
    from dragoman.cli.serve import run, run_as_worker  # noqa: PLC0415 - only the gateway pays for its libraries

    if fd is not None:
        run_as_worker(config, fd)
    else:
        run(config, host=host, port=port, workers=workers)


@app.command()
@click.argument("model", default="local/smollm2-135m")
@click.option("--system", help="A system prompt to begin with.")
def chat(model: str, system: str | None) -> None:
    """Talk to a model in the terminal: streaming, with the history of the conversation. Ctrl-D or /quit ends it.

    MODEL is provider/model, for instance openai/gpt-4o-mini.
    """
    from dragoman.cli import chat as chat_command  # noqa: PLC0415 - only this command makes calls

    chat_command.run(model, system)


@app.command()
@config_option
@click.option("--providers", is_flag=True, help="List the providers instead.")
def models(config: str | None, *, providers: bool) -> None:
    """List the models a gateway would serve, those of its database too, or with --providers every provider and whether its key
    is set.
    """
    from dragoman.providers.registry import missing_keys  # noqa: PLC0415 - only this command lists them
    from dragoman.providers.table import ROWS  # noqa: PLC0415 - as above

    if providers:
        for row in ROWS:
            missing = missing_keys(row, os.environ)
            click.echo(f"{row.name:<22} {'ready' if not missing else 'needs ' + ' or '.join(missing)}")
        return
    from dragoman.cli.stored import stored_models  # noqa: PLC0415 - as above
    from dragoman.gateway.config import load  # noqa: PLC0415 - as above

    found, policy = load(config, env=os.environ)
    for name in policy.names:
        click.echo(name)
    for entry in stored_models(found.governance.database) if found.governance else ():
        click.echo(f"{entry.plain['model_name']}  (stored, id {entry.id})")


@app.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 256), help="As for serve.")
def check(config: str | None, workers: int | None) -> None:
    """Read a configuration and say whether it can be served: names, keys, URLs. Sends nothing anywhere."""
    from dragoman.gateway.app import build  # noqa: PLC0415 - only the gateway pays for its libraries
    from dragoman.gateway.workers import advice  # noqa: PLC0415 - as above

    gateway = build(config)
    policy = gateway.policy
    for name in policy.names:
        targets = [deployment.target for deployment in policy.deployments if deployment.group == name]
        click.echo(f"{name}: {', '.join(f'{target.provider.name}/{target.model}' for target in targets)}")
    for note in advice(gateway.config, gateway.policy, workers or gateway.config.server.workers):
        click.echo(f"note: {note}")
    click.echo(f"{config or 'the built-in configuration'} is good: {len(policy.names)} models")
