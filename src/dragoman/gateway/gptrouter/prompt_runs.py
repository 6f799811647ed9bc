"""Stored prompts that are run: found by id, version or label, filled, and made a Generation for `generate/prompt`.

Raises BadRequestError for a prompt that is not there, and one that names all variables which are missing. `prompted` runs them
from the gateway's other faces.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from dragoman.dialects.gptrouter.requests import Candidate, Generation, limits, read_labels, read_object
from dragoman.dialects.openai_chat.reader import refuse
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.face import Face
from dragoman.gateway.gptrouter.prompt_store import Prompt, PromptStore
from dragoman.gateway.gptrouter.templates import fill

PRODUCTION = "production"
"""The label that is meant by the id of a group without another word."""


async def run(face: Face, exchange: Exchange) -> Generation:
    """The body of `generate/prompt`."""
    fields = read_object(exchange.body)
    data = fields.inner("data")
    prompt_id, label, version = data.need_text("promptId"), data.text("label"), data.integer("version")
    prompt = await wanted(face.prompts, prompt_id, label=label, version=version, names=_NAMES)
    params = fill(prompt.prompt_params, data.mapping("inputData") or {}, "data.inputData")
    count, language, user = data.integer("n"), data.text("language"), data.text("userId")
    params |= {key: value for key, value in (("n", count), ("user", user)) if value}
    if not prompt.models:
        refuse("data.promptId", f"the prompt {prompt.title[:60]!r} names no models to ask")
    params = _speaking(params, language)
    labels = replace(read_labels(fields), prompt=ledger_names(prompt, label))
    return Generation(
        candidates=tuple(candidate(model, params, place) for place, model in enumerate(prompt.models)),
        stream=fields.flag("stream") or False,
        labels=labels,
        **limits(fields),
    )


class Names(NamedTuple):
    """What a face calls the fields by which a prompt is chosen."""

    id: str
    version: str
    label: str


_NAMES = Names("data.promptId", "data.version", "data.label")


async def wanted(store: PromptStore, prompt_id: str, *, label: str | None, version: int | None, names: Names) -> Prompt:
    """By its id; of a group by the version or label asked for, or else `production`, or else the newest."""
    prompt = await store.get(prompt_id)
    group = await store.versions(prompt.parent_prompt_id if prompt else prompt_id)
    there = [one for one in group if not one.is_deleted]
    if version is not None:
        prompt = next((one for one in there if one.version_number == version), None)
        if prompt is None:
            refuse(names.version, f"this prompt has no version {version}")
    elif label:
        prompt = next((one for one in there if label in one.labels), None)
        if prompt is None:
            refuse(names.label, f"no version of this prompt is labelled {label[:60]!r}")
    elif prompt is None and there:
        prompt = next((one for one in there if PRODUCTION in one.labels), there[-1])
    if prompt is None or prompt.is_deleted:
        refuse(names.id, f"no prompt has the id {prompt_id[:60]!r}")
    return prompt


def ledger_names(prompt: Prompt, label: str | None) -> tuple[str, ...]:
    """What stands in the books for it: its version, and the label that was asked for."""
    of = prompt.parent_prompt_id
    return (f"{of}@{prompt.version_number}", *([f"{of}#{label}"] if label else ()))


def candidate(model: str, params: dict[str, Any], place: int) -> Candidate:
    """A model of a prompt: "provider/model", an id, or a public name."""
    provider, slash, name = model.partition("/")
    if slash:
        return Candidate(provider=provider, model=name, params=params, order=place, place=place)
    model_id, name = (model, "") if is_uuid(model) else ("", model)
    return Candidate(model_id=model_id, model=name, params=params, order=place, place=place)


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _speaking(params: dict[str, Any], language: str | None) -> dict[str, Any]:
    if not language:
        return params
    told = f"Please generate in {language} language."
    if params.get("messages"):
        return {**params, "messages": [*params["messages"], {"role": "user", "content": told}]}
    return {**params, "prompt": f"{params.get('prompt') or ''}\n{told}"}
