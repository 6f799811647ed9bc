"""The operations beside chat, in our own words. Each has a request and a response; the dialects of `dialects/` speak them."""

from __future__ import annotations

from dragoman.core.chat import Extra, Usage, Value, Warning


class EmbeddingRequest(Value, frozen=True, kw_only=True):
    """Vectors for texts. `input` is texts, or token lists; `dimensions` the wanted length of each vector.

    `encoding_format` is how the vectors travel: float (JSON numbers) or base64 (little-endian float32).
    """

    model: str
    input: tuple[str, ...] | tuple[tuple[int, ...], ...]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None
    extra: Extra = {}


class Embedding(Value, frozen=True, kw_only=True):
    """One vector, in the order of the inputs; exactly as it came: a tuple of floats or base64 text."""

    index: int
    vector: tuple[float, ...] | str


class EmbeddingResponse(Value, frozen=True, kw_only=True):
    model: str
    embeddings: tuple[Embedding, ...]
    usage: Usage | None = None
    id: str | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}
