"""`LiteLLMEmbeddings` and `LiteLLMEmbeddingsRouter`: vectors of any provider, as LangChain's `Embeddings`.

Long lists are asked for in batches, in order. An argument that no field takes is an error that names it, and never its value.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

import dragoman
from dragoman.core.errors import ResponseDecodeError
from dragoman.langchain.arguments import canonical
from dragoman.langchain.errors import typed_errors
from dragoman.langchain.loading import load_engine
from dragoman.langchain.profile import key_variable, who_serves


class LiteLLMEmbeddings(BaseModel, Embeddings):
    """An embedding model by its name, "provider/model".

    `base_url` is the same as `api_base`, `timeout` (seconds) as `request_timeout`. `chunk_size` texts go into one request.
    `document_input_type` and `query_input_type` are for providers that tell the two apart (Cohere, Voyage).
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), hide_input_in_errors=True)

    model: str = "openai/text-embedding-3-small"
    client: Any = Field(None, exclude=True, repr=False)
    async_client: Any = Field(None, exclude=True, repr=False)
    api_key: SecretStr | None = Field(None, repr=False)
    api_base: str | None = None
    api_version: str | None = None
    custom_llm_provider: str | None = None
    organization: str | None = None
    request_timeout: float | None = None
    max_retries: int | None = Field(2, ge=0)
    extra_headers: dict[str, str] | None = Field(None, repr=False)
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    dimensions: int | None = Field(None, gt=0)
    encoding_format: str | None = None
    document_input_type: str | None = None
    query_input_type: str | None = None
    chunk_size: int = Field(512, gt=0)

    _kept: ClassVar[frozenset[str]] = frozenset()
    """Arguments that belong to somebody else here."""

    @model_validator(mode="before")
    @classmethod
    def _sort_arguments(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        said = canonical(values)
        for name in cls._kept & said.keys():
            raise ValueError(f"{name} belongs to the deployments of the router")
        unknown = sorted(said.keys() - cls.model_fields.keys())
        if unknown:
            raise ValueError(f"{cls.__name__} has no {', '.join(unknown)}; put what the provider is to have into model_kwargs")
        return said

    @model_validator(mode="after")
    def _show_key(self) -> Self:
        """A key of the environment is shown here, and left to the SDK to send: it goes to its owner only."""
        if self.api_key is None:
            provider, _ = who_serves(self.model, self.custom_llm_provider, self.api_base)
            found = os.environ.get(key_variable(provider))
            self.__dict__["api_key"] = SecretStr(found) if found else None  # not as if it had been given
        return self

    @model_validator(mode="after")
    def _load_engine(self) -> Self:
        load_engine()
        return self

    @model_validator(mode="after")
    def _check_format(self) -> Self:
        if self.encoding_format not in (None, "float"):
            raise ValueError("encoding_format: LangChain wants floats; leave it out or say 'float'")
        return self

    # ---------------------------------------------------------------------------------------------------------- asking
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, in order; none for none."""
        return [vector for batch in self._batches(texts) for vector in self._vectors(batch, self.document_input_type)]

    def embed_query(self, text: str) -> list[float]:
        return self._vectors([text], self.query_input_type)[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for batch in self._batches(texts):
            vectors += await self._avectors(batch, self.document_input_type)
        return vectors

    async def aembed_query(self, text: str) -> list[float]:
        return (await self._avectors([text], self.query_input_type))[0]

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        return (texts[start : start + self.chunk_size] for start in range(0, len(texts), self.chunk_size))

    def _vectors(self, texts: list[str], input_type: str | None) -> list[list[float]]:
        with typed_errors():
            return _read(self._send(self._arguments(texts, input_type)), len(texts))

    async def _avectors(self, texts: list[str], input_type: str | None) -> list[list[float]]:
        with typed_errors():
            return _read(await self._asend(self._arguments(texts, input_type)), len(texts))

    def _arguments(self, texts: list[str], input_type: str | None) -> dict[str, Any]:
        headers = dict(self.extra_headers or {})
        if self.organization:
            headers.setdefault("openai-organization", self.organization)
        said = {
            "model": self.model,
            "api_key": self.api_key.get_secret_value() if self.api_key and "api_key" in self.model_fields_set else None,
            "api_base": self.api_base,
            "api_version": self.api_version,
            "custom_llm_provider": self.custom_llm_provider,
            "timeout": self.request_timeout,
            "num_retries": self._retries(),
            "extra_headers": headers or None,
            "dimensions": self.dimensions,
            "encoding_format": self.encoding_format,
            "input_type": input_type,
            **self.model_kwargs,
            "input": texts,
        }
        return {name: value for name, value in said.items() if value is not None}

    def _retries(self) -> int | None:
        return self.max_retries

    def _send(self, arguments: dict[str, Any]) -> Any:
        return (dragoman if self.client is None else self.client).embedding(**arguments)

    async def _asend(self, arguments: dict[str, Any]) -> Any:
        ask = dragoman.aembedding if self.async_client is None else self.async_client.embedding
        return await ask(**arguments)


class LiteLLMEmbeddingsRouter(LiteLLMEmbeddings):
    """The same through a router, ours or LiteLLM's, which has the keys, addresses, retries and fallbacks."""

    router: Any = Field(exclude=True, repr=False)

    _kept = frozenset({"api_base", "api_key", "api_version", "custom_llm_provider"})

    def _retries(self) -> int | None:
        return self.max_retries if "max_retries" in self.model_fields_set else None

    def _send(self, arguments: dict[str, Any]) -> Any:
        return self.router.embedding(**arguments)

    async def _asend(self, arguments: dict[str, Any]) -> Any:
        return await self.router.aembedding(**arguments)


def _read(answer: Any, count: int) -> list[list[float]]:
    """The vectors in the order of the texts, whatever library's object holds them."""
    fields = answer if isinstance(answer, Mapping) else answer.model_dump()
    items = sorted(fields.get("data") or (), key=lambda item: item.get("index") or 0)
    if len(items) != count:
        raise ResponseDecodeError(f"asked for {count} vectors, got {len(items)}")
    return [item["embedding"] for item in items]
