"""The guard that asks Microsoft Presidio what is personal data: in this process (the extra `presidio`), or its service.

Presidio says where it is; masking, blocking and flagging are done here as for our own patterns, so its anonymizer is not asked.
In this process it works in a thread of its own, one text after the other, and downloads nothing: neither models nor the list of
domains that its check of e-mail addresses would fetch. Answers that are streamed are held until they are whole.
https://microsoft.github.io/presidio/
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.errors import ConfigurationError
from dragoman.gateway.guardrails.base import Asked, Guard, Stage, Terms, listed
from dragoman.gateway.guardrails.services import Services
from dragoman.gateway.guardrails.span_guard import without_tokens
from dragoman.gateway.guardrails.spans import Span, masked
from dragoman.gateway.guardrails.texts import edited, texts

PATTERNS = "patterns"
"""In place of a model: Presidio's patterns alone, which find no names and no places."""


class Found(Struct, frozen=True):
    """As Presidio says it. `start` and `end` count characters; `score` is from 0 to 1."""

    entity_type: str
    start: int
    end: int
    score: float


class Wanted(Struct, frozen=True, kw_only=True):
    """What is looked for: all entities without names of some, from `score` on, in one `language`."""

    entities: tuple[str, ...]
    score: float
    language: str


class Analyzer(Protocol):
    async def __call__(self, said: Sequence[str], services: Services) -> list[list[Found]]:
        """What is found in each of the texts."""
        ...


class PresidioGuard(Guard):
    def __init__(self, terms: Terms, analyzer: Analyzer) -> None:
        super().__init__(terms)
        self._analyzer = analyzer

    async def request(self, request: Any, asked: Asked, stage: Stage) -> Any:  # noqa: ARG002 - the same before and beside
        return await self._judged(request, "request", asked)

    async def response(self, response: Any, asked: Asked) -> Any:
        made = await self._judged(response, "answer", asked)
        return made if made is response else without_tokens(made)

    async def _judged(self, value: Any, where: str, asked: Asked) -> Any:
        said = [text.text for text in texts(value)]
        found = await self._analyzer(said, asked.services) if said else []
        kinds = [each.entity_type.lower() for many in found for each in many]
        if not kinds:
            return value
        if self.terms.action != "mask":
            self.found(f"it holds {listed(kinds)}", where, asked)
            return value
        asked.changed(self.terms, where, listed(kinds))
        written = (masked(pieces(text, many)) for text, many in zip(said, found, strict=True))
        return edited(value, lambda _: next(written))


def pieces(text: str, found: Sequence[Found]) -> list[str | Span]:
    """The text in pieces, with one span where what was found overlaps: of the kind that is surest."""
    ready: list[str | Span] = []
    done = 0
    for span in _apart(found):
        ready += [text[done : span.start], span]
        done = span.end
    return [*ready, text[done:]]


def _apart(found: Sequence[Found]) -> list[Span]:
    spans: list[Span] = []
    sure = 0.0
    for each in sorted(found, key=lambda each: (each.start, -each.score)):
        if spans and each.start < spans[-1].end:
            kind = each.entity_type if each.score > sure else spans[-1].kind
            spans[-1] = Span(spans[-1].start, max(spans[-1].end, each.end), kind)
            sure = max(sure, each.score)
        else:
            spans.append(Span(each.start, each.end, each.entity_type))
            sure = each.score
    return spans


# --------------------------------------------------------------------------------------------------------- the service
class Service:
    """Presidio's analyzer at `url`, as its container image serves it. `seconds`: what it may take for one text."""

    def __init__(self, wanted: Wanted, *, url: str, headers: dict[str, str], seconds: float) -> None:
        self._url = f"{url.rstrip('/')}/analyze"
        self._headers = headers
        self._seconds = seconds
        self._asked = {"language": wanted.language, "score_threshold": wanted.score}
        if wanted.entities:
            self._asked["entities"] = list(wanted.entities)

    async def __call__(self, said: Sequence[str], services: Services) -> list[list[Found]]:
        """Raises TransportFailure, and ValueError for what is no answer of Presidio's."""
        return [await self._one(text, services) for text in said]

    async def _one(self, text: str, services: Services) -> list[Found]:
        response = await services.post(self._url, {"text": text, **self._asked}, self._headers, seconds=self._seconds)
        if response.status != 200:
            raise ValueError(f"Presidio answered {response.status}")
        try:
            found = _read(response.body)
        except json.UNREADABLE as problem:
            raise ValueError(f"this is no answer of Presidio's: {problem}") from None
        if any(not 0 <= each.start < each.end <= len(text) for each in found):
            raise ValueError("Presidio has found something outside the text")
        return found


_read = msgspec.json.Decoder(list[Found]).decode


# ------------------------------------------------------------------------------------------------------ in this process
class InProcess:
    """`model`: a spaCy model that is installed, the folder of one, or `patterns`; `nlp` instead: Presidio's own configuration
    of an NLP engine, for transformers and others. Raises ConfigurationError, of what can be known before the first text.
    """

    def __init__(self, wanted: Wanted, *, model: str | None, nlp: dict[str, Any] | None) -> None:
        self._wanted = wanted
        given = nlp or {"nlp_engine_name": "spacy", "models": [{"lang_code": wanted.language, "model_name": model}]}
        self._analyzer, self._thread = _loaded(json.encode(given), wanted.language)
        known = self._analyzer.get_supported_entities(wanted.language)
        for name in wanted.entities:
            if name not in known:
                raise ConfigurationError(f"entities: {name!r} is none of {', '.join(sorted(known))}")

    async def __call__(self, said: Sequence[str], services: Services) -> list[list[Found]]:  # noqa: ARG002 - nobody else is asked
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._found, tuple(said))

    def _found(self, said: Sequence[str]) -> list[list[Found]]:
        return [self._one(text) for text in said]

    def _one(self, text: str) -> list[Found]:
        wanted = self._wanted
        entities = list(wanted.entities) or None
        found = self._analyzer.analyze(text, language=wanted.language, entities=entities, score_threshold=wanted.score)
        return [Found(each.entity_type, each.start, each.end, each.score) for each in found]


@cache
def _loaded(nlp: bytes, language: str) -> tuple[Any, ThreadPoolExecutor]:
    """One of each configuration in a process: models are large."""
    try:
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry  # noqa: PLC0415 - an extra, and seconds to load

        engine = _engine(json.decode(nlp), language)
        registry = RecognizerRegistry(supported_languages=[language])
        registry.load_predefined_recognizers(languages=[language], nlp_engine=engine)
        _without_downloads(registry, language)
        analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[language])
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"use: presidio needs {missing.name} here: pip install 'dragoman[presidio]', or give the url of its service"
        ) from None
    except ConfigurationError:
        raise
    except Exception as problem:  # Presidio, spaCy and their models fail in many ways
        raise ConfigurationError(f"Presidio cannot be loaded: {type(problem).__name__}: {problem}") from problem
    return analyzer, ThreadPoolExecutor(1, thread_name_prefix="dragoman-presidio")


def _engine(nlp: dict[str, Any], language: str) -> Any:
    import spacy  # noqa: PLC0415 - comes with Presidio
    from presidio_analyzer.nlp_engine import NlpEngineProvider, SpacyNlpEngine  # noqa: PLC0415 - as above

    names = [model.get("model_name") for model in nlp.get("models", ())]
    if names == [PATTERNS]:
        engine: Any = SpacyNlpEngine(models=nlp["models"])
        engine.nlp = {language: spacy.blank(language)}
        return engine
    for given in names if nlp.get("nlp_engine_name") != "stanza" else ():
        name = given.get("spacy") if isinstance(given, dict) else given
        if isinstance(name, str) and not (spacy.util.is_package(name) or Path(name).exists()):
            raise ConfigurationError(f"model: {name!r} is not installed, and nothing is downloaded: spacy download {name}")
    return NlpEngineProvider(nlp_configuration=nlp).create_engine()


def _without_downloads(registry: Any, language: str) -> None:
    """The check of an e-mail address by the list of domains that came with the package."""
    from presidio_analyzer.predefined_recognizers import EmailRecognizer  # noqa: PLC0415 - an extra
    from tldextract import TLDExtract  # noqa: PLC0415 - comes with it

    domains = TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Local(EmailRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            return bool(domains(pattern_text).fqdn)

    registry.remove_recognizer("EmailRecognizer", language)
    registry.add_recognizer(Local(supported_language=language, name="EmailRecognizer"))
