"""The commands, as typer sees them. Each is a few lines over the package; the work is elsewhere."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from dragoman.cli import chat as chat_command
from dragoman.cli.demo_upstream import demo_upstream
from dragoman.cli.local import app as local_app

app = typer.Typer(
    help="One call to any language model: a gateway and a guide that speak every provider's dialect.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(local_app, name="local")
app.command("demo-upstream")(demo_upstream)

ConfigOption = Annotated[
    str | None, typer.Option("--config", "-c", envvar="DRAGOMAN_CONFIG", help="The YAML file; see docs/configuration.md.")
]
ModelArgument = Annotated[str, typer.Argument(help="provider/model, for instance openai/gpt-4o-mini.")]


@app.command()
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on; the configuration's, or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="0 picks a free one; the configuration's, or 4000.")] = None,
) -> None:
    """Run the gateway.

    Without --config it serves the local models, and every provider/model whose key is in the environment.
    """
    from dragoman.gateway.app import build  # noqa: PLC0415 - only the gateway pays for its libraries
    from dragoman.gateway.server import bind, server, url  # noqa: PLC0415 - as above

    gateway = build(config)
    running = server(gateway, host=host, port=port)
    listening = bind(running)
    address = url(listening, tls=gateway.config.server.ssl_certfile is not None)
    typer.echo(f"dragoman serves {len(gateway.models.names)} models at {address}/v1 (stop with Ctrl-C)")
    running.run(sockets=[listening])


@app.command()
def chat(
    model: ModelArgument = "local/smollm2-135m",
    system: Annotated[str | None, typer.Option(help="A system prompt to begin with.")] = None,
) -> None:
    """Talk to a model in the terminal: streaming, with the history of the conversation. Ctrl-D or /quit ends it."""
    chat_command.run(model, system)


@app.command()
def models(
    config: ConfigOption = None,
    *,
    providers: Annotated[bool, typer.Option("--providers", help="List the providers instead.")] = False,
) -> None:
    """List the models a gateway would serve, or with --providers every provider and whether its key is set."""
    from dragoman.providers.registry import missing_keys  # noqa: PLC0415 - only this command lists them
    from dragoman.providers.table import ROWS  # noqa: PLC0415 - as above

    if providers:
        for row in ROWS:
            missing = missing_keys(row, os.environ)
            typer.echo(f"{row.name:<22} {'ready' if not missing else 'needs ' + ' or '.join(missing)}")
        return
    from dragoman.gateway.config import load  # noqa: PLC0415 - as above

    for name in load(config, env=os.environ)[1].names:
        typer.echo(name)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Read a configuration and say whether it can be served: names, keys, URLs. Sends nothing anywhere."""
    from dragoman.gateway.app import build  # noqa: PLC0415 - only the gateway pays for its libraries

    gateway = build(config)
    for name in gateway.models.names:
        places = ", ".join(f"{d.target.provider.name}/{d.target.model}" for d in gateway.models.find(name))
        typer.echo(f"{name}: {places}")
    typer.echo(f"{config or 'the built-in configuration'} is good: {len(gateway.models.names)} models")
