"""`dragoman chat`: a conversation in the terminal. The answer is printed as it comes; an interrupted one stays as it is."""

from __future__ import annotations

import sys
from typing import Any

import click

import dragoman
from dragoman.core.errors import CallError

_QUIT = frozenset({"/quit", "/exit", "/q"})


def run(model: str, system: str | None) -> None:
    """Read lines until the end of input. A call that fails is reported and may be asked again."""
    history: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    while (line := _ask()) is not None:
        if not line:
            continue
        turn = [*history, {"role": "user", "content": line}]
        try:
            said = _answer(model, turn)
        except CallError as error:
            click.echo(f"dragoman: {error.message}", err=True)
            continue
        history = [*turn, {"role": "assistant", "content": said}]


def _ask() -> str | None:
    """The next line, "" for an empty one, None to end."""
    try:
        line = input("> " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        return None
    return None if line in _QUIT else line


def _answer(model: str, messages: list[dict[str, Any]]) -> str:
    said: list[str] = []
    stream = dragoman.completion(model, messages, stream=True)
    try:
        for chunk in stream:
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text:
                said.append(text)
                click.echo(text, nl=False)
                sys.stdout.flush()
    except KeyboardInterrupt:
        pass  # the answer is cut here, the conversation goes on
    finally:
        stream.close()
        click.echo()
    return "".join(said)
