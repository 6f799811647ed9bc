"""POST /generate/embeddings (candidates with inputs) and /generate/embeddings-v2 (a model, whoever serves it here)."""

from __future__ import annotations

from typing import Any

from dragoman.core.operations import EmbeddingResponse
from dragoman.dialects.embeddings import NAME, with_encoding
from dragoman.dialects.gptrouter.answers import Source, meta
from dragoman.dialects.gptrouter.requests import Candidate, Labels, read_candidates, read_labels, read_object
from dragoman.dialects.openai_chat.reader import mismatch, refuse
from dragoman.gateway.gptrouter import providers
from dragoman.gateway.gptrouter.directory import Found
from dragoman.gateway.gptrouter.face import Answer, Face
from dragoman.gateway.gptrouter.visits import Visit
from dragoman.gateway.gptrouter.whole import Asking, ask, found

_OPTIONAL = ("dimensions", "user")


async def embeddings(visit: Visit) -> Answer:
    """All candidates must mean the same input: vectors of two questions are no fallback for one another."""
    fields = read_object(visit.exchange.body)
    candidates = read_candidates(fields)
    params = next((candidate.params for candidate in candidates if candidate.params), {})
    for candidate in candidates:
        if candidate.params and candidate.params.get("input") != params.get("input"):
            refuse(f"{candidate.path}.promptParams.input", "differs from that of the first candidate")
    body = {"input": _input(params.get("input"), f"{candidates[0].path}.promptParams.input")}
    body |= {key: params[key] for key in _OPTIONAL if params.get(key) is not None}
    return await _answer(visit, _asking(body, found(visit.face, candidates), read_labels(fields)))


async def embeddings_v2(visit: Visit) -> Answer:
    fields = read_object(visit.exchange.body)
    model = fields.need_text("modelName")
    body = {"input": _input(fields.any("input"), "input")}
    return await _answer(visit, _asking(body, (_anywhere(visit.face, model),), read_labels(fields)))


def _anywhere(face: Face, model: str) -> Found:
    """The public name, or else the model at the provider that GPTRouter's clients mean by it."""
    if model in face.pipeline.policy.names or "/" in model:
        return face.directory.find(Candidate(model=model))
    owner = next((name for name, models in providers.KNOWN.items() if model in models), "openai_embeddings")
    return face.directory.find(Candidate(model=model, provider=owner))


def _input(value: Any, path: str) -> list[Any]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        mismatch(path, "a text or an array of texts", value)
    return value


def _asking(body: dict[str, Any], places: tuple[Found, ...], labels: Labels) -> Asking:
    return Asking("embedding", NAME, body, places, labels)


async def _answer(visit: Visit, asking: Asking) -> Answer:
    response, by, cost = await ask(visit, asking)
    answered: EmbeddingResponse = response
    vectors = with_encoding(answered, "float").embeddings
    source = Source(provider=by.provider, model=by.model, cost=cost)
    told = meta(answered.usage, source)
    del told["attempts"]
    if cost is not None:
        told["cost"] = cost
    return 200, {
        "choices": [{"embedding": one.vector, "index": one.index} for one in vectors],
        "model": answered.model,
        "meta": told,
    }
