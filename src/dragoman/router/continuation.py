"""Who may write the rest of an answer that broke off: whether that is wanted, and which deployments can. Pure.

Where a model takes an answer's beginning as its own last message (assistant prefill), it goes on with the next word. Where
that is not known it would answer that message, so such a deployment is asked only with an `instruction`, which nobody has by
default. What may be continued at all is the engine's to tell; a `Session` asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dragoman.providers.prefill import reaches

if TYPE_CHECKING:
    from dragoman.router.state import Node

INSTRUCTION = "Your last message was cut off. Continue it from exactly where it stops. Repeat nothing and add no preamble."
"""What a program that asks for continuation by LiteLLM's switch gets."""

_DECLARED = "supports_assistant_prefill"
_BY_LAST_MESSAGE = frozenset({"anthropic_messages", "anthropic_bedrock", "anthropic_vertex", "bedrock_converse"})
"""Dialects in which a last message of the assistant is all that prefill takes. Elsewhere the provider's row says how."""


class ContinuationPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`most`: further attempts that one answer may take. `instruction`: a last user message for deployments without prefill;
    None asks none of them.
    """

    most: int = 2
    instruction: str | None = None


class Rest(Struct, frozen=True, kw_only=True):
    """What differs in a request for the rest, as field -> value: with prefill, and by instruction (None: not so)."""

    by_prefill: Mapping[str, Any] | None = None
    by_instruction: Mapping[str, Any] | None = None


def prefills(node: Node) -> bool:
    """What the configuration says (model_info), else the provider's row, else the catalog, where it is known how to ask."""
    declared, target = node.terms.info.get(_DECLARED), node.deployment.target
    if declared is not None:
        return bool(declared)
    way = target.provider.prefill
    if way is None and target.provider.dialects.get("chat") not in _BY_LAST_MESSAGE:
        return False
    known = node.facts is not None and node.facts.supports("prefill") is True
    named = way is not None and any(fnmatchcase(target.model, glob) for glob in way.models)
    return (known or named) and reaches(target)
