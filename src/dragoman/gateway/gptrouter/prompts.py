"""The prompt pages: list, read, create, change, delete, label, compare, and the optimizer. The rules are the store's and these.

A change keeps what was there as a version of its own, with its labels. Running them is `prompt_runs`' business.
"""

from __future__ import annotations

import time
from difflib import unified_diff
from typing import Any
from uuid import uuid4

from msgspec import to_builtins
from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import BadRequestError
from dragoman.dialects.gptrouter.requests import Candidate, read_object
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.face import Answer, Face
from dragoman.gateway.gptrouter.health import iso
from dragoman.gateway.gptrouter.prompt_runs import is_uuid
from dragoman.gateway.gptrouter.prompt_store import Prompt
from dragoman.gateway.gptrouter.visits import Visit
from dragoman.gateway.gptrouter.whole import Asking, ask, found

NOT_FOUND: Answer = (404, {"message": "Prompt not found"})
MAX_OPTIMIZED = 10


async def all_prompts(face: Face, _: Exchange) -> Answer:
    return 200, [_written(prompt) for prompt in await face.prompts.newest()]


async def one_prompt(face: Face, exchange: Exchange) -> Answer:
    """`prompt/ID`: all versions of its group. `prompt/ID/diff/OTHER`: how two versions differ, as a unified diff."""
    prompt_id, *rest = _steps(exchange)
    if rest[:1] == ["diff"] and len(rest) == 2:
        return await _diff(face, prompt_id, rest[1])
    asked = await face.prompts.get(prompt_id)
    versions = await face.prompts.versions(asked.parent_prompt_id if asked else prompt_id)
    left = [_written(prompt) for prompt in versions if not prompt.is_deleted]
    return (200, left) if left and not rest else NOT_FOUND


async def create_prompt(face: Face, exchange: Exchange) -> Answer:
    """The client may bring ids; those it leaves out are made. A group that exists gets a new version."""
    fields = read_object(exchange.body)
    prompt_id = _uuid(fields, "id") or str(uuid4())
    group = fields.text("parentPromptId") or prompt_id
    if await face.prompts.get(prompt_id) is not None:
        refuse("id", "a prompt with this id exists: PUT changes it")
    there = await face.prompts.versions(group)
    now = iso(time.time())
    prompt = Prompt(
        id=prompt_id,
        title=fields.need_text("title"),
        prompt_params=_params(fields),
        models=_models(fields) or (),
        parent_prompt_id=group,
        version_number=max((old.version_number for old in there), default=0) + 1,
        update_message=fields.text("updateMessage"),
        created_at=now,
        updated_at=now,
    )
    await face.prompts.put(prompt)
    return 200, _written(prompt)


async def change_prompt(face: Face, exchange: Exchange) -> Answer:
    """`prompt/ID`: new content; the old is kept. `prompt/ID/label`: {"label": name} moves a label to this version."""
    prompt_id, *rest = _steps(exchange)
    old = await face.prompts.get(prompt_id)
    if old is None or old.is_deleted or rest not in ([], ["label"]):
        return NOT_FOUND
    fields = read_object(exchange.body)
    versions = await face.prompts.versions(old.parent_prompt_id)
    if rest:
        return await _label(face, old, versions, fields.need_text("label"))
    archived = replace(old, id=str(uuid4()))
    changed = replace(
        old,
        title=fields.text("title") or old.title,
        models=old.models if (models := _models(fields)) is None else models,
        prompt_params=_params(fields),
        version_number=max(prompt.version_number for prompt in versions) + 1,
        update_message=fields.text("updateMessage"),
        labels=(),
        updated_at=iso(time.time()),
    )
    await face.prompts.put(archived, changed)
    return 200, _written(changed)


async def _label(face: Face, prompt: Prompt, versions: list[Prompt], label: str) -> Answer:
    """A label is on one version of a group."""
    moved = [replace(other, labels=_without(other, label)) for other in versions if label in other.labels]
    labelled = replace(prompt, labels=(*_without(prompt, label), label))
    await face.prompts.put(*moved, labelled)
    return 200, _written(labelled)


def _without(prompt: Prompt, label: str) -> tuple[str, ...]:
    return tuple(one for one in prompt.labels if one != label)


async def delete_prompt(face: Face, exchange: Exchange) -> Answer:
    """It is kept, but listed and run no more."""
    prompt = await face.prompts.get(_steps(exchange)[0])
    if prompt is None:
        return NOT_FOUND
    await face.prompts.put(replace(prompt, is_deleted=True, updated_at=iso(time.time())))
    return 200, {"message": "Prompt deleted Successfully"}


async def optimize(visit: Visit) -> Answer:
    """The texts of the messages, each rewritten by the model that the configuration names."""
    messages = read_object(visit.exchange.body).items("messages")
    if not messages:
        mismatch("messages", "an array of messages", None)
    if not visit.face.settings.optimizer:
        raise BadRequestError("no model is configured to rewrite prompts: name one as `optimizer`")
    if len(messages) > MAX_OPTIMIZED:
        refuse("messages", f"expected at most {MAX_OPTIMIZED}, found {len(messages)}")
    return 200, [await _rewritten(visit, message, place) for place, message in enumerate(messages)]


async def _rewritten(visit: Visit, message: Any, place: int) -> Any:
    text = Fields(message, f"messages[{place}]").any("content")
    if not isinstance(text, str) or not text:
        return message
    asked = [{"role": "system", "content": _TASK}, {"role": "user", "content": text}]
    places = found(visit.face, (Candidate(model=visit.face.settings.optimizer),))
    answered = (await ask(visit, Asking("chat", "openai_chat", {"messages": asked}, places))).response
    parts = answered.choices[0].parts if answered.choices else ()
    return {**message, "content": "".join(getattr(part, "text", "") for part in parts if type(part).__name__ == "TextPart")}


_TASK = (
    "Rewrite the prompt that the user sends so that a language model follows it better: keep its meaning, its language and "
    "every placeholder in square brackets as they are, say plainly what is wanted, and answer with the new prompt alone."
)


def _steps(exchange: Exchange) -> list[str]:
    """What stands behind `prompt/` in the path, step by step."""
    return exchange.path.decode("latin-1").rpartition("/api/v1/prompt/")[2].split("/")


def _params(fields: Fields) -> dict[str, Any]:
    params = fields.mapping("promptParams")
    return mismatch("promptParams", "an object", None) if params is None else params


def _models(fields: Fields) -> tuple[str, ...] | None:
    models = fields.items("models")
    if models is None:
        return None
    for place, model in enumerate(models):
        if type(model) is not str:
            mismatch(f"models[{place}]", "a model's id, or provider/model", model)
    return tuple(models)


def _uuid(fields: Fields, key: str) -> str | None:
    value = fields.text(key)
    if value is not None and not is_uuid(value):
        refuse(key, f"expected a UUID, found {value[:60]!r}")
    return value


async def _diff(face: Face, one: str, other: str) -> Answer:
    old, new = await face.prompts.get(one), await face.prompts.get(other)
    if old is None or new is None:
        return NOT_FOUND
    lines = unified_diff(
        _lines(old), _lines(new), f"version {old.version_number}", f"version {new.version_number}", lineterm=""
    )
    return 200, {"from": old.version_number, "to": new.version_number, "diff": "\n".join(lines)}


def _lines(prompt: Prompt) -> list[str]:
    told = {"title": prompt.title, "models": prompt.models, "promptParams": prompt.prompt_params}
    return json.pretty(json.encode(told), 2).decode().splitlines()


def _written(prompt: Prompt) -> Any:
    return to_builtins(prompt)
