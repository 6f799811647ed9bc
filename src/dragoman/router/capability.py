"""Which deployments can do what a request asks: context window, abilities, region, tags. What is left out has its reason.

Facts about models come from whoever knows them (a catalog, a configuration); what nobody knows does not stand in the way.
Pure; asked by `plan` for each candidate, and only when the request asks for something.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from dragoman.router.deployment import Terms

DEFAULT_TAG = "default"


class ModelFacts(Protocol):
    """What is known of a model. `supports` answers for: tools, images, audio, documents, schema, reasoning, prefill, or the
    name of a parameter; None is "not known". Tokens are counted by the model's own tokenizer, rates are nano-dollars per
    million tokens.
    """

    @property
    def context_window(self) -> int | None: ...
    @property
    def input_rate(self) -> int | None: ...
    @property
    def output_rate(self) -> int | None: ...
    def supports(self, ability: str) -> bool | None: ...


class KnownFacts(Struct, frozen=True, kw_only=True):
    """Facts as plain data. `abilities`: name -> whether it has it."""

    context_window: int | None = None
    input_rate: int | None = None
    output_rate: int | None = None
    abilities: dict[str, bool] = {}

    def supports(self, ability: str) -> bool | None:
        return self.abilities.get(ability)


class Needs(Struct, frozen=True, kw_only=True):
    """What a request asks of a deployment. `input_tokens` is an estimate; `output_tokens` what the answer may take at most.

    `abilities`: see ModelFacts. `regions`: where it may be answered, none for anywhere. `tags`: see `tags_forbid`.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    abilities: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


def forbids(terms: Terms, facts: ModelFacts | None, needs: Needs) -> str | None:
    """Why this deployment cannot answer; None when nothing is known against it."""
    if needs.regions and terms.region not in needs.regions:
        return f"region {terms.region or 'not known'}: asked for {', '.join(sorted(needs.regions))}"
    if facts is None:
        return None
    asked = needs.input_tokens + needs.output_tokens
    if facts.context_window is not None and asked > facts.context_window:
        return f"context window {facts.context_window}: about {asked} tokens are needed"
    lacking = sorted(ability for ability in needs.abilities if facts.supports(ability) is False)
    return f"it has no {', '.join(lacking)}" if lacking else None


def tags_forbid(terms: Terms, needs: Needs, *, any_default: bool, all_tags: bool) -> str | None:
    """Tags as LiteLLM means them: `!tag` must not be there, `&tag` must be; of the others one (or with `all_tags` each).

    A request without tags goes to deployments tagged `default`, if the group has any.
    """
    if not needs.tags:
        return "not tagged default" if any_default and DEFAULT_TAG not in terms.tags else None
    banned = {tag[1:] for tag in needs.tags if tag.startswith("!")} & terms.tags
    if banned:
        return f"tagged {', '.join(sorted(banned))}"
    required = {tag[1:] for tag in needs.tags if tag.startswith("&")}
    wanted = {tag for tag in needs.tags if tag[:1] not in ("!", "&")}
    if all_tags:
        required, wanted = required | wanted, set()
    if not required <= terms.tags:
        return f"not tagged {', '.join(sorted(required - terms.tags))}"
    return f"tagged none of {', '.join(sorted(wanted))}" if wanted and not wanted & terms.tags else None
