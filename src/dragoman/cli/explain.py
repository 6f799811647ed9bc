"""`dragoman explain` and `dragoman diff`: what a configuration would do, and what is different in another. Nothing is sent.

Explained is a gateway that has just started: nobody has failed yet, and no limit is used up.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, Any, BinaryIO

import click

if TYPE_CHECKING:
    from dragoman.core import json as codec
    from dragoman.router.state import RequestFacts

config_option = click.option(
    "--config", "-c", envvar="DRAGOMAN_CONFIG", show_envvar=True, help="The YAML file; see docs/configuration.md."
)


@click.command()
@click.argument("request", type=click.File("rb"))
@config_option
def explain(request: BinaryIO, config: str | None) -> None:
    """Which deployments a request would be sent to, in which order, and why not to the others.

    REQUEST is a file with the body of the request as JSON, in any of the dialects that name their `model`; - is standard input.
    """
    from dragoman.gateway.config import load  # noqa: PLC0415 - only the gateway pays for its libraries

    _, policy = load(config, env=os.environ)
    envelope = _envelope(request.read())
    facts = _facts(envelope, tagged=policy.settings.tag_filtering)
    found = policy.plan(facts, 0.0, Random(0))  # noqa: S311 - the same every time
    needs = ", ".join(sorted(facts.abilities)) or "nothing special"
    click.echo(f"{facts.group}: about {facts.input_tokens} tokens of input; needs {needs}")
    for place, candidate in enumerate(found.attempts, 1):
        target = candidate.deployment.target
        click.echo(f"  {place}. {candidate.deployment.id}  {target.provider.name}/{target.model}  ({candidate.reason})")
    for drop in found.drops:
        click.echo(f"  -  {drop.deployment}  not asked: {drop.reason}")
    for kind, others in _fallbacks(policy, facts.group).items():
        click.echo(f"  then, {kind}: {', '.join(others)}")


@click.command()
@click.argument("before", type=click.Path(exists=True, dir_okay=False))
@click.argument("after", type=click.Path(exists=True, dir_okay=False))
def diff(before: str, after: str) -> None:
    """What is different in another configuration, and what of it a running gateway cannot take up without a restart.

    Either may be a config.yaml of LiteLLM's. Both are checked as a start would check them. No secret is shown. The exit status
    is 1 where something differs.
    """
    from dragoman.gateway.changes import changes  # noqa: PLC0415 - as above
    from dragoman.gateway.config import load  # noqa: PLC0415 - as above

    old, new = (load(path, env=os.environ) for path in (before, after))
    found = changes(old, new)
    for change in found:
        click.echo(str(change))
    if found:
        raise SystemExit(1)
    click.echo("no difference")


def _envelope(body: bytes) -> codec.Envelope:
    from dragoman.core import json  # noqa: PLC0415 - as above

    try:
        return json.decode_envelope(body)
    except json.UNREADABLE as problem:
        raise click.UsageError(f"the request is not a JSON object: {problem}") from None


def _facts(envelope: codec.Envelope, *, tagged: bool) -> RequestFacts:
    from dragoman.core import json  # noqa: PLC0415 - as above
    from dragoman.engine.request_facts import request_facts  # noqa: PLC0415 - as above

    model = json.read(envelope, "model")
    if not isinstance(model, str):
        raise click.UsageError("model: missing; the request must name the model it asks")
    return request_facts(envelope, model, stream=json.read(envelope, "stream") is True, tagged=tagged)


def _fallbacks(policy: Any, group: str) -> dict[str, tuple[str, ...]]:
    from dragoman.router.fallback import ANY  # noqa: PLC0415 - as above

    said = policy.settings.fallbacks
    lists = {
        "when all of them failed": said.any.get(group) or said.any.get(ANY) or (),
        "for a prompt that is too long": said.context_window.get(group, ()),
        "for refused content": said.content_policy.get(group, ()),
    }
    return {kind: others for kind, others in lists.items() if others}
