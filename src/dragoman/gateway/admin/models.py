"""/model/*: models that are served beside those of the configuration file. Their litellm_params are sealed in the database.

An answer shows no text that may be secret, and neither does the audit log, which has the names of what was given. Who may do
any of this is the admin; of other keys each may see the names of the models that it may use.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from dragoman.core.errors import NotFoundError
from dragoman.gateway.admin import access, answers, shapes
from dragoman.gateway.admin.desk import Ask, Desk, new_id
from dragoman.gateway.admin.shapes import Name, given
from dragoman.gateway.store.base import Entry
from dragoman.gateway.stored import addresses, models
from dragoman.gateway.stored.models import MODEL, Opened, wrong
from dragoman.gateway.stored.serving import StoredModels
from dragoman.router.deployment import Deployment

_LONGEST = 128
"""Characters of an id."""


class ModelAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """`litellm_params` are those of a configuration's model_list; `model_info.id` names the model."""

    model_name: Name | UnsetType = UNSET
    litellm_params: dict[str, Any] = {}
    model_info: dict[str, Any] = {}


class ModelNamed(Struct, kw_only=True, forbid_unknown_fields=True):
    id: Name


async def new(desk: Desk, ask: Ask) -> Any:
    """Serve one more model, or one more deployment of a name that is there."""
    access.check_everything(ask.identity, access.MANAGE)
    asked = shapes.decoded(ask.body, ModelAsked)
    name = given(asked.model_name)
    if not name:
        raise wrong("model_name", "missing: the name that clients ask for")
    entry = Entry(
        kind=MODEL,
        id=_id(asked) or new_id(),
        plain={"model_name": name, "model_info": _info({}, asked)},
        sealed="",
        created=ask.now,
        created_by=ask.identity.key.id,
    )
    values = models.merged({}, asked.litellm_params, "litellm_params")
    return await _put(desk, ask, Opened(entry, values), asked, over=None)


async def update(desk: Desk, ask: Ask) -> Any:
    """Change a stored model: what is given goes in place of what was, null takes it away."""
    access.check_everything(ask.identity, access.MANAGE)
    asked = shapes.decoded(ask.body, ModelAsked)
    id_ = ask.path.get("model_id") or _id(asked)
    if not id_:
        raise wrong("model_info.id", "missing: the model that is to be changed")
    old = (await desk.stored()).find(MODEL, id_)
    plain = {
        "model_name": given(asked.model_name) or old.entry.plain["model_name"],
        "model_info": _info(old.entry.plain["model_info"], asked),
    }
    values = models.merged(old.values, asked.litellm_params, "litellm_params")
    entry = msgspec.structs.replace(old.entry, plain=plain, updated=ask.now)
    return await _put(desk, ask, Opened(entry, values), asked, over=old.entry)


async def delete(desk: Desk, ask: Ask) -> Any:
    """Serve a stored model no longer. Calls that it is answering end there."""
    access.check_everything(ask.identity, access.MANAGE)
    named = shapes.decoded(ask.body, ModelNamed)
    entry = (await desk.stored()).find(MODEL, named.id).entry
    await desk.store.delete_entry(entry.reference, desk.change(ask, "delete", entry))
    await desk.shipping.hear()
    return {"message": f"Model: {entry.id} deleted successfully", "model_id": entry.id}


async def info(desk: Desk, ask: Ask) -> Any:
    """Every model that is served: those of the configuration file and those of the database. For the owner of a key those that
    it may use, without their parameters.
    """
    everything = access.may_everything(ask.identity)
    if not everything:
        access.check(ask.identity, access.READ, ask.identity.key)
    stored = await desk.stored()
    shown = [_of_file(deployment) for group in stored.base.groups.values() for deployment in group]
    shown += [{"model_name": name, "litellm_params": {}, "model_info": {"db_model": False}} for name, _ in stored.base.patterns]
    shown += [_shown(stored, model) for model in stored.models]
    if not everything:
        shown = [_named(model) for model in shown if ask.identity.may_use(model["model_name"])]
    wanted = ask.query.get("litellm_model_id")
    if wanted:
        shown = [model for model in shown if model["model_info"].get("id") == wanted]
        if not shown:
            raise NotFoundError(f"there is no model {wanted[:80]!r}", attempts=0)
    return {"data": shown}


async def _put(desk: Desk, ask: Ask, model: Opened, asked: ModelAsked, *, over: Entry | None) -> Any:
    models.check_params(model.values, "litellm_params")
    if not model.values.get("model"):
        raise wrong("litellm_params.model", "missing: provider/model")
    models.check_info(model.entry.plain["model_info"])
    stored = await desk.stored()
    entry = stored.sealed(model)
    warnings = stored.check(model)
    await check_addresses(stored, model, "litellm_params")
    for url in () if stored.private else stored.own_addresses(model):
        addresses.check_own(url, "litellm_params.model")
    names = {"litellm_params": [*asked.litellm_params], "model_info": [*asked.model_info]}
    detail = msgspec.json.encode({"model_name": entry.plain["model_name"], **names}).decode()
    await desk.store.put_entry(entry, desk.change(ask, "update" if over else "create", entry, detail), over=over)
    await desk.shipping.hear()
    return {"model_id": entry.id, **_shown(stored, model), "warnings": warnings}


async def check_addresses(stored: StoredModels, opened: Opened, place: str) -> None:
    """Raises BadRequestError for an address of the inside, where those are not open to the admin API."""
    for field, url in () if stored.private else models.addresses(opened.values):
        await addresses.check(url, f"{place}.{field}")


def _id(asked: ModelAsked) -> str:
    """Nothing when none is given."""
    found = asked.model_info.get("id", "")
    if not isinstance(found, str) or len(found) > _LONGEST or not found.isprintable():
        raise wrong("model_info.id", f"expected text of up to {_LONGEST} printable characters")
    return found


def _info(old: dict[str, Any], asked: ModelAsked) -> dict[str, Any]:
    return {name: value for name, value in models.with_given(old, asked.model_info).items() if name != "id"}


def _shown(stored: StoredModels, model: Opened) -> dict[str, Any]:
    entry = model.entry
    problem = stored.problems.get(entry.id)
    return {
        "model_name": entry.plain["model_name"],
        "litellm_params": models.masked(model.values),
        "model_info": {**entry.plain["model_info"], "id": entry.id, "db_model": True},
        **({"error": problem} if problem else {}),
        "created_at": answers.time(entry.created),
        "updated_at": answers.time(entry.updated or entry.created),
        "created_by": entry.created_by,
    }


def _named(shown: dict[str, Any]) -> dict[str, Any]:
    """Nothing that says where it is or how it is asked, and no notes of the admin's."""
    kept = {name: value for name, value in shown["model_info"].items() if name in ("id", "db_model")}
    return {"model_name": shown["model_name"], "model_info": kept}


def _of_file(deployment: Deployment) -> dict[str, Any]:
    target = deployment.target
    return {
        "model_name": deployment.group,
        "litellm_params": {"model": f"{target.provider.name}/{target.model}", "api_base": target.base_url},
        "model_info": {"id": deployment.id, "db_model": False},
    }
