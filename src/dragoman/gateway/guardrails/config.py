"""The `guardrails` of a configuration -> entries, of which guards are made. Called by `gateway.config` and, for LiteLLM's list,
by `litellm`.

    guardrails:
      - {name: no-pii, use: pii, stage: [before, after], action: mask}
      - {name: house-rules, use: judge, model: small, policy: "No advice on medicine.", stage: during, default: false}

An entry has the keys that all have and those of its `use`. Errors name file, line and key; nothing is left unsaid for the
first request to find out.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import replace

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.guardrails.base import Guard, Stage, Terms
from dragoman.gateway.guardrails.callout import CalloutGuard
from dragoman.gateway.guardrails.custom import CustomGuard
from dragoman.gateway.guardrails.judges import InjectionGuard, ModelJudge, SchemaGuard, TopicsGuard, validator
from dragoman.gateway.guardrails.pii import PII
from dragoman.gateway.guardrails.presidio import InProcess, PresidioGuard, Service, Wanted
from dragoman.gateway.guardrails.secrets import RANDOM, SECRETS
from dragoman.gateway.guardrails.span_guard import SpanGuard
from dragoman.gateway.guardrails.spans import Pattern
from dragoman.gateway.provider_config import load_object
from dragoman.gateway.yaml_config import Document, convert
from dragoman.transport.fast_request import check_headers

_Name = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_.-]+$")]
_Text = Annotated[str, Meta(min_length=1)]
_Seconds = Annotated[float, Meta(gt=0, le=600)]
_Examples = dict[_Text, Annotated[tuple[_Text, ...], Meta(min_length=1)]]


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every guardrail has; see `base.Terms`. `stage`: one or several."""

    name: _Name
    use: str
    stage: Stage | tuple[Stage, ...] = "before"
    action: Literal["block", "mask", "flag"] = "block"
    models: tuple[_Text, ...] = ()
    default: bool = True
    on_failure: Literal["closed", "open"] = "closed"

    def terms(self) -> Terms:
        stages = (self.stage,) if isinstance(self.stage, str) else tuple(dict.fromkeys(self.stage))
        names = ("name", "action", "models", "default", "on_failure")
        return Terms(stages=stages, **{name: getattr(self, name) for name in names})

    @abstractmethod
    def guard(self) -> Guard:
        """Raises ConfigurationError that begins with a key."""


class RegexEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`patterns`: what is found -> its regular expression. `window`: characters by which it can be told that one begins."""

    patterns: Annotated[dict[_Name, _Text], Meta(min_length=1)]
    window: Annotated[int, Meta(ge=1, le=10_000)] = 200
    ignore_case: bool = False

    def guard(self) -> Guard:
        flags = re.IGNORECASE if self.ignore_case else 0
        found = []
        for kind, text in self.patterns.items():
            try:
                found.append(Pattern(kind, re.compile(text, flags), self.window))
            except re.error as problem:
                raise ConfigurationError(f"patterns.{kind}: no regular expression: {problem}") from None
        return SpanGuard(self.terms(), tuple(found))


class PiiEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kinds` of personal data; all without it."""

    kinds: tuple[Literal["email", "card", "iban", "ssn", "phone", "ip", "ip6"], ...] = ()

    def guard(self) -> Guard:
        return SpanGuard(self.terms(), tuple(PII[kind] for kind in PII if not self.kinds or kind in self.kinds))


class SecretsEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`entropy`: also strings without a known shape that look drawn by lot."""

    entropy: bool = True

    def guard(self) -> Guard:
        return SpanGuard(self.terms(), (*SECRETS.values(), *((RANDOM,) if self.entropy else ())))


class InjectionEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    threshold: Annotated[float, Meta(gt=0, le=5)] = 0.8

    def guard(self) -> Guard:
        return InjectionGuard(self.terms(), self.threshold)


class TopicsEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`denied` and `allowed`: topic -> texts that are examples of it. `model`: one of this gateway that makes vectors."""

    denied: _Examples = {}
    allowed: _Examples = {}
    model: _Text = "local/use-multilingual-v3"
    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.5

    def guard(self) -> Guard:
        if not (self.denied or self.allowed):
            raise ConfigurationError("expected denied or allowed topics, with examples of each")
        if self.denied.keys() & self.allowed.keys():
            raise ConfigurationError("allowed: a topic is either allowed or denied")
        how = {"denied": self.denied, "allowed": self.allowed, "model": self.model, "threshold": self.threshold}
        return TopicsGuard(self.terms(), **how)  # type: ignore[arg-type]  # each is of its own type


class SchemaEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`schema`: a JSON Schema; without it, the one that a request names as its response_format holds."""

    stage: Stage | tuple[Stage, ...] = "after"
    schema: dict[str, Any] | None = None

    def guard(self) -> Guard:
        try:
            validator(self.schema or {})
            return SchemaGuard(self.terms(), self.schema)
        except ImportError:
            raise ConfigurationError("use: schema needs the package jsonschema: pip install 'dragoman[guardrails]'") from None
        except Exception as problem:  # noqa: BLE001 - jsonschema's own kinds, which are not to be imported here
            raise ConfigurationError(f"schema: {getattr(problem, 'message', problem)}") from None


class JudgeEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model`: one of this gateway that chats. `policy`: what is allowed, in words. `timeout`: seconds it may take."""

    model: _Text
    policy: _Text
    timeout: _Seconds = 30.0

    def guard(self) -> Guard:
        return ModelJudge(self.terms(), model=self.model, policy=self.policy, seconds=self.timeout)


class HttpEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`, `headers`: of the service that judges; see `callout`. `timeout`: seconds it may take."""

    url: _Text
    headers: dict[_Text, str] = {}
    timeout: _Seconds = 5.0

    def guard(self) -> Guard:
        _check_address(self.url, self.headers)
        return CalloutGuard(self.terms(), url=self.url, headers=self.headers, seconds=self.timeout)


class PresidioEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `url`, of Presidio's analyzer service, with `headers` and `timeout` (seconds); or in this process `model` or
    `nlp`: see `presidio`. `entities`: Presidio's names of what is looked for, all without it; `score`: how sure it must be.
    """

    url: _Text | None = None
    headers: dict[_Text, str] = {}
    timeout: _Seconds = 5.0
    model: _Text | None = None
    nlp: dict[str, Any] | None = None
    entities: tuple[_Text, ...] = ()
    score: Annotated[float, Meta(ge=0, le=1)] = 0.4
    language: Annotated[str, Meta(pattern="^[a-z]{2,3}$")] = "en"

    def guard(self) -> Guard:
        wanted = Wanted(entities=self.entities, score=self.score, language=self.language)
        if sum(given is not None for given in (self.url, self.model, self.nlp)) != 1:
            raise ConfigurationError("expected one of url, model and nlp; model: patterns needs no model")
        if self.url is None:
            return PresidioGuard(self.terms(), InProcess(wanted, model=self.model, nlp=self.nlp))
        _check_address(self.url, self.headers)
        return PresidioGuard(self.terms(), Service(wanted, url=self.url, headers=self.headers, seconds=self.timeout))


def _check_address(url: str, headers: dict[str, str]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ConfigurationError("url: expected http:// or https:// with a host, and no name or password in it")
    try:
        check_headers(tuple(headers.items()))
    except ValueError as problem:
        raise ConfigurationError(f"headers: {problem}") from None


class PythonEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`path`: module.Class, looked for in `folder`, which is that of the file, then among the installed packages.

    `options` are its keywords.
    """

    path: Annotated[str, Meta(min_length=3)]
    options: dict[str, Any] = {}
    folder: str = ""

    def guard(self) -> Guard:
        kind = load_object(self.path, Path(self.folder))
        try:
            return CustomGuard(self.terms(), kind(guardrail_name=self.name, **self.options))
        except Exception as problem:  # other people's code may fail in any way
            raise ConfigurationError(f"path: {self.path} cannot be made: {type(problem).__name__}: {problem}") from problem


_ENTRIES: dict[str, type[Entry]] = {
    "regex": RegexEntry,
    "pii": PiiEntry,
    "presidio": PresidioEntry,
    "secrets": SecretsEntry,
    "injection": InjectionEntry,
    "topics": TopicsEntry,
    "schema": SchemaEntry,
    "judge": JudgeEntry,
    "http": HttpEntry,
    "python": PythonEntry,
}
_MASKING = frozenset({"regex", "pii", "presidio", "secrets"})
_OF_ITS_OWN = frozenset({"http", "python"})
"""Whose guards say themselves what is to be done."""


def read(document: Document, values: Sequence[Any], place: str = "guardrails") -> tuple[Entry, ...]:
    """The entries, in their order, each good for a guard. Raises ConfigurationError that names file, line and key."""
    entries: dict[str, Entry] = {}
    for index, value in enumerate(values):
        at = f"{place}[{index}]"
        entry = checked(document, value, at)
        if entries.setdefault(entry.name, entry) is not entry:
            raise document.error(f"{at}.name", f"{entry.name!r} is the name of an earlier one; names are unique")
    return tuple(entries.values())


def checked(document: Document, value: Any, at: str) -> Entry:
    """The one entry that stands `at` a place."""
    use = value.get("use") if isinstance(value, Mapping) else None
    kind = _ENTRIES.get(use) if isinstance(use, str) else None
    if kind is None:
        raise document.error(f"{at}.use", f"expected one of {', '.join(_ENTRIES)}, found {use!r}")
    entry = convert(document, kind, value=value, at=at)
    _check(document, entry, at)
    if isinstance(entry, PythonEntry) and not entry.folder:
        entry = replace(entry, folder=str(Path(document.file).parent))
    try:
        entry.guard()
    except ConfigurationError as problem:
        key, _, rest = problem.message.partition(": ")
        named = bool(rest) and re.fullmatch(r"[\w.-]+", key) is not None
        raise document.error(f"{at}.{key}" if named else at, rest if named else problem.message) from None
    return entry


def _check(document: Document, entry: Entry, at: str) -> None:
    """What the kinds of guard can do."""
    stages = entry.terms().stages
    if not stages:
        raise document.error(f"{at}.stage", "expected at least one of before, during, after")
    if entry.action == "mask" and entry.use not in _MASKING | _OF_ITS_OWN:
        raise document.error(f"{at}.action", f"{entry.use} judges a text as a whole: block or flag it")
    if entry.action == "mask" and "during" in stages:
        raise document.error(f"{at}.stage", "what is on its way cannot be masked: look at it before")
    if entry.use == "schema" and stages != ("after",):
        raise document.error(f"{at}.stage", "schema looks at answers: after")
