"""The `gptrouter` entry of the configuration. Light: it is read by gateways that never serve a request of this face.

    gptrouter:
      prompts: dragoman-prompts.db              # SQLite; without it prompts live as long as the process
      history: dragoman-health.db               # how models fared, the same way
      status: public                            # GET /status and /status/badge/PROVIDER/MODEL.svg: public, key or off
      optimizer: fast                           # the model that rewrites prompts
      stream_refusals: event                    # or status: how a stream is told that its key is wrong
      ping_seconds: 15
      accounts:                                 # who may log in; hashes by python -m dragoman.gateway.gptrouter.passwords
        - {email: ann@example.com, password: 'scrypt$...', key: os.environ/ANNS_KEY}
      probes: {every_seconds: 300, dollars_a_day: 0.1}

Nothing of it has to be written: the face is served without it, and then forgets with the process.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dragoman.gateway.yaml_config import Document

_Text = Annotated[str, Meta(min_length=1)]


class AccountEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`password` is a hash; `key` is the gateway key that the tokens of a login stand for."""

    email: _Text
    password: _Text
    key: _Text
    role: _Text = "admin"


class ProbesEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A chat model that nobody asked for so long, or that is out, is asked for one token. No more than so much a day (UTC)."""

    every_seconds: Annotated[float, Meta(ge=1, le=86400)] = 300.0
    dollars_a_day: Annotated[float, Meta(gt=0, le=1000)] = 0.1


class GPTRouterEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See the module."""

    prompts: _Text | None = None
    history: _Text | None = None
    status: Literal["public", "key", "off"] = "off"
    optimizer: str = ""
    stream_refusals: Literal["event", "status"] = "event"
    ping_seconds: Annotated[float, Meta(gt=0, le=3600)] = 15.0
    accounts: tuple[AccountEntry, ...] = ()
    probes: ProbesEntry | None = None


HASHED = "scrypt$"


def check(document: Document, entry: GPTRouterEntry) -> None:
    """Raises ConfigurationError that names file, line and key, and shows no password."""
    emails: dict[str, int] = {}
    for index, account in enumerate(entry.accounts):
        place = f"gptrouter.accounts[{index}]"
        if not account.password.startswith(HASHED):
            told = "expected a hash as `python -m dragoman.gateway.gptrouter.passwords` makes it, never the password itself"
            raise document.error(f"{place}.password", told)
        if (other := emails.setdefault(account.email.lower(), index)) != index:
            raise document.error(f"{place}.email", f"is that of accounts[{other}] too")
