"""The name of a model -> its record: as it stands, without its date, version or region, by another name, at its maker's.

A catalog is a value: the shipped records plus those that a program brought. `find` tells how it found what it found, so that
a price that was inferred can be told from one that was stated. What is not found is None; nothing is guessed from a name
that merely looks alike. The helpers of the client and whoever prices a call ask here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from dragoman.catalog.records import Model, decoded, shipped


class Found(Struct, frozen=True, kw_only=True):
    """A record, and what had to be assumed to get to it ("" when it is the very name that was asked for)."""

    model: Model
    note: str = ""


MAKERS = tuple(
    """
    openai anthropic gemini mistral deepseek xai cohere perplexity ai21 moonshot dashscope zai minimax meta amazon_nova
    inception voyage groq together_ai fireworks_ai bedrock
    """.split()
)
"""Where a name without a provider is looked for, in order."""

PUBLISHERS = {
    "google": "gemini",
    "mistralai": "mistral",
    "x-ai": "xai",
    "moonshotai": "moonshot",
    "alibaba": "dashscope",
    "qwen": "dashscope",
    "z-ai": "zai",
    "zai-org": "zai",
    "deepseek-ai": "deepseek",
    "amazon": "bedrock",
    "meta-llama": "meta",
}
"""How gateways name makers that we call otherwise."""

AT_MAKERS_PRICE = {
    "azure": ("openai", "xai", "mistral", "deepseek"),
    "azure_ai": ("azure", "openai", "anthropic", "mistral", "cohere", "xai", "deepseek"),
    "vertex_ai": ("gemini", "anthropic", "mistral"),
    "codestral": ("mistral",),
    "text-completion-openai": ("openai",),
    "github_copilot": ("openai", "anthropic", "gemini"),
    "vercel_ai_gateway": (),
    "openrouter": (),
}
"""Providers that sell makers' models at the makers' list price, and whose: asked when they have no record of their own.

Of those without a tuple of makers the model's name says the maker ("anthropic/claude-...").
"""

_DATE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{4})$")
_VERSION = re.compile(r"(-v\d+)?(:\d+(:\w+)?)?$")
_REGION = re.compile(r"^(us-gov|us|eu|apac|ap|jp|au|ca|global)\.(?=[a-z])")
_ARN = re.compile(r"^arn:aws[\w-]*:bedrock:.*/")
_CONTEXT = re.compile(r"\[\w+\]$")
_PREFIXES = ("accounts/fireworks/models/", "models/", "publishers/google/models/", "publishers/anthropic/models/")


class Catalog:
    """Records by provider and name. Immutable; `with_models` makes another one."""

    def __init__(self, own: Mapping[str, Mapping[str, Model]] | None = None) -> None:
        self._own = own or {}
        self._get = lru_cache(maxsize=512)(self._decoded)
        self._names = lru_cache(maxsize=64)(self._names_of)
        self._found = lru_cache(maxsize=1024)(self._search)

    def with_models(self, *models: Model) -> Catalog:
        """A catalog in which these stand before the shipped ones of the same provider and name."""
        own = {provider: dict(held) for provider, held in self._own.items()}
        for model in models:
            own.setdefault(model.provider, {})[model.name] = model
        return Catalog(own)

    def find(self, model: str, provider: str | None = None) -> Found | None:
        """The record of `model` at `provider`; without one, "provider/model", or the maker that has such a model."""
        return self._found(model, provider)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(provider, name) of every record, a program's own first."""
        for provider, own in self._own.items():
            yield from ((provider, name) for name in own)
        for provider, names in shipped().models.items():
            yield from ((provider, name) for name in names if name not in self._own.get(provider, {}))

    def get(self, provider: str, name: str) -> Model | None:
        """The record of exactly this name."""
        return self._get(provider, name)

    def _decoded(self, provider: str, name: str) -> Model | None:
        own = self._own.get(provider, {}).get(name)
        if own is not None:
            return own
        raw = shipped().models.get(provider, {}).get(name)
        return None if raw is None else decoded(provider, name, raw)

    def _names_of(self, provider: str) -> tuple[tuple[str, str], ...]:
        """(glob, name of the record) of a provider's further names, the longest first."""
        records = shipped().models.get(provider, {})
        pairs = [(glob, name) for name in records for glob in decoded(provider, name, records[name]).names]
        return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))

    def _search(self, model: str, provider: str | None) -> Found | None:
        if provider is not None:
            return self._at(provider, model) or self._at_maker(provider, model) or self._at("", model)
        head, slash, rest = model.partition("/")
        if slash and (head in self._own or head in shipped().models or head in AT_MAKERS_PRICE):
            return self._search(rest, head)
        return next((found for maker in ("", *MAKERS) if (found := self._at(maker, model))), None)

    def _at(self, provider: str, model: str) -> Found | None:
        for name, note in _spellings(model):
            record = self._get(provider, name)
            if record is not None:
                return Found(model=record, note=note)
        lower = model.lower()
        for glob, name in self._names(provider):
            if fnmatchcase(lower, glob):
                record = self._get(provider, name)
                return None if record is None else Found(model=record, note="" if glob == lower else f"of the family {name}")
        return None

    def _at_maker(self, provider: str, model: str) -> Found | None:
        """The same model in the list of whoever made it, where the provider sells at that price."""
        makers = AT_MAKERS_PRICE.get(provider)
        if makers is None or model.endswith(":free"):
            return None
        head, slash, rest = model.partition("/")
        places = [(maker, model) for maker in makers] if makers else [(PUBLISHERS.get(head, head), rest)] if slash else []
        for maker, name in places:
            found = self._at(maker, name)
            if found is not None:
                return replace(found, note=f"taken from {maker}, which {provider} is taken to charge the same as")
        return None


def _spellings(model: str) -> Iterator[tuple[str, str]]:
    """The name and its plainer forms, with what was left out: paths, regions, versions, dates, "latest"."""
    seen = {model}
    yield model, ""
    name = _ARN.sub("", model)
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    steps = (
        ("", lambda text: text),
        ("", str.lower),
        ("without its context mark", lambda text: _CONTEXT.sub("", text)),
        ("without its region", lambda text: _REGION.sub("", text)),
        ("at the global price", lambda text: f"global.{text}"),
        ("without its version", lambda text: _VERSION.sub("", text).removeprefix("global.")),
        ("without its version, at the global price", lambda text: f"global.{text}"),
        ("without its date", lambda text: _DATE.sub("", text.removeprefix("global.").partition("@")[0])),
        ("without its date", lambda text: text.removesuffix("-latest")),
        ("the latest", lambda text: f"{text}-latest"),
    )
    for note, step in steps:
        name = step(name)
        if name not in seen:
            seen.add(name)
            yield name, note


_current = Catalog()


def current() -> Catalog:
    """The catalog of this process: the shipped records and what `register` added."""
    return _current


def register(*models: Model) -> None:
    """Let these records stand before the shipped ones, in this process."""
    global _current  # noqa: PLW0603 - a value that is replaced whole, so readers need no lock
    _current = _current.with_models(*models)
