"""/credentials: keys of providers under a name, for models to use as `litellm_credential_name`. Sealed in the database.

What is stored is never shown again: an answer has the names of its fields, and a mask for each text. A credential that a model
uses cannot be deleted. Who may do any of this is the admin.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from dragoman.core.errors import ConflictError
from dragoman.gateway.admin import access, answers, shapes
from dragoman.gateway.admin.desk import Ask, Desk
from dragoman.gateway.admin.models import check_addresses
from dragoman.gateway.store.base import Entry
from dragoman.gateway.stored import models
from dragoman.gateway.stored.models import CREDENTIAL, Opened, wrong

PROVIDER = "custom_llm_provider"
_PathName = Annotated[str, Meta(max_length=128, pattern=r"^[^/\x00-\x1f\x7f]*$")]


class CredentialAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """`credential_values`: api_key, api_base and what else models take from a credential. `credential_info` is for people, but
    for `custom_llm_provider`, the only one to whom it may go.
    """

    credential_name: _PathName = ""
    credential_values: dict[str, Any] = {}
    credential_info: dict[str, Any] = {}


async def new(desk: Desk, ask: Ask) -> Any:
    """Keep a credential."""
    access.check_everything(ask.identity, access.MANAGE)
    asked = shapes.decoded(ask.body, CredentialAsked)
    if not asked.credential_name:
        raise wrong("credential_name", "missing")
    entry = Entry(
        kind=CREDENTIAL,
        id=asked.credential_name,
        plain={"credential_info": models.with_given({}, asked.credential_info)},
        sealed="",
        created=ask.now,
        created_by=ask.identity.key.id,
    )
    values = models.merged({}, asked.credential_values, "credential_values")
    if not values:
        raise wrong("credential_values", "missing: at least one, such as api_key")
    shown = await _put(desk, ask, Opened(entry, values), asked, over=None)
    return {"success": True, "message": "Credential created successfully", **shown}


async def update(desk: Desk, ask: Ask) -> Any:
    """Change a credential: what is given goes in place of what was, null takes it away. Its models use it at once."""
    access.check_everything(ask.identity, access.MANAGE)
    asked, name = shapes.decoded(ask.body, CredentialAsked), ask.path["credential_name"]
    if asked.credential_name not in ("", name):
        raise wrong("credential_name", "a credential keeps its name; make another and move its models")
    old = (await desk.stored()).find(CREDENTIAL, name)
    info = models.with_given(old.entry.plain["credential_info"], asked.credential_info)
    values = models.merged(old.values, asked.credential_values, "credential_values")
    if info.get(PROVIDER) != old.entry.plain["credential_info"].get(PROVIDER):
        anew = {name: value for name, value in asked.credential_values.items() if value != models.MASK}
        models.check_given(values, anew, f"credential_info.{PROVIDER}")
    entry = msgspec.structs.replace(old.entry, plain={"credential_info": info}, updated=ask.now)
    shown = await _put(desk, ask, Opened(entry, values), asked, over=old.entry)
    return {"success": True, "message": "Credential updated successfully", **shown}


async def delete(desk: Desk, ask: Ask) -> Any:
    """Forget a credential that no model uses."""
    access.check_everything(ask.identity, access.MANAGE)
    stored = await desk.stored()
    entry = stored.find(CREDENTIAL, ask.path["credential_name"]).entry
    using = [model.entry.id for model in stored.using(entry.id)]
    if using:
        raise ConflictError(f"the models {', '.join(using[:20])} use this credential: change those first", attempts=0)
    await desk.store.delete_entry(entry.reference, desk.change(ask, "delete", entry))
    await desk.shipping.hear()
    return {"success": True, "message": "Credential deleted successfully"}


async def listed(desk: Desk, ask: Ask) -> Any:
    """Every credential, its values masked."""
    access.check_everything(ask.identity)
    return {"success": True, "credentials": [_shown(credential) for credential in (await desk.stored()).credentials]}


async def info(desk: Desk, ask: Ask) -> Any:
    """One credential, its values masked."""
    access.check_everything(ask.identity)
    return _shown((await desk.stored()).find(CREDENTIAL, ask.path["credential_name"]))


async def _put(desk: Desk, ask: Ask, credential: Opened, asked: CredentialAsked, *, over: Entry | None) -> dict[str, Any]:
    models.check_params(credential.values, "credential_values")
    models.check_credential(credential.values)
    stored = await desk.stored()
    entry = stored.sealed(credential)
    stored.check(credential)
    await check_addresses(stored, credential, "credential_values")
    names = {"credential_values": [*asked.credential_values], "credential_info": [*asked.credential_info]}
    detail = msgspec.json.encode(names).decode()
    await desk.store.put_entry(entry, desk.change(ask, "update" if over else "create", entry, detail), over=over)
    await desk.shipping.hear()
    return _shown(credential)


def _shown(credential: Opened) -> dict[str, Any]:
    entry = credential.entry
    return {
        "credential_name": entry.id,
        "credential_values": models.masked(credential.values),
        "credential_info": entry.plain["credential_info"],
        "created_at": answers.time(entry.created),
        "updated_at": answers.time(entry.updated or entry.created),
        "created_by": entry.created_by,
    }
