"""The client of GPTRouter's API: `GPTRouterClient`, with the names and signatures of the official one, sync and async alike.

    from dragoman.gptrouter import GPTRouterClient, GenerationParams, ModelGenerationRequest

Connections are kept and shared. A stream is asked for again only where nothing of it has been given to the caller. It holds a
key and shows it to nobody but the host it was made for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Any, Self

from dragoman.gptrouter import operations
from dragoman.gptrouter.connection import Connection
from dragoman.gptrouter.constants import BASE_VARIABLES, DEFAULT_API_BASE_URL, KEY_VARIABLES
from dragoman.gptrouter.decisions import ModelRouterSystemOneGenerationRequest, ModelRouterSystemOneGenerationResponse
from dragoman.gptrouter.models import (
    GPTRouterMetadata,
    ImageEditRequest,
    ImageGenerationRequest,
    ImageGenerationResponse,
    ModelGenerationRequest,
    ModelRouterEmbeddingsGenerationRequest,
    ModelRouterEmbeddingsGenerationResponse,
)
from dragoman.gptrouter.operations import labels, limits

Embeddings = ModelRouterEmbeddingsGenerationResponse
Decisions = ModelRouterSystemOneGenerationResponse


class GPTRouterClient:
    """`base_url` with or without `/api`, or GPT_ROUTER_API_BASE; `api_key`, or GPT_ROUTER_API_KEY. Timeouts are in seconds.

    Raises ValueError without a key. Close it, or use it in `with`, when it is needed no more.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        request_timeout: float = 60,
        stream_read_timeout: float | None = None,
        additional_metadata: GPTRouterMetadata | None = None,
    ) -> None:
        url = base_url or _variable(BASE_VARIABLES) or DEFAULT_API_BASE_URL
        key = api_key or _variable(KEY_VARIABLES)
        if not key:
            raise ValueError(f"api_key: missing; give one, or set {' or '.join(KEY_VARIABLES)}")
        self.base_url = url.rstrip("/")
        self.additional_metadata = additional_metadata
        self._connection = Connection(self.base_url, key, request_timeout, stream_read_timeout)

    def __repr__(self) -> str:
        return f"GPTRouterClient({self.base_url})"

    # ------------------------------------------------------------------------------------------------------- generations
    def generate(
        self,
        *,
        ordered_generation_requests: Iterable[ModelGenerationRequest],
        is_stream: bool = False,
        model_router_metadata: GPTRouterMetadata | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        stream_retry_count: int = 1,
        switch_models_order_on_timeout: bool = False,
    ) -> Any:
        """A GenerationResponse: the answer of the first candidate that can. `timeout` (seconds) and `max_retries` are for the
        server, and for the call as a whole.

        With `is_stream` a generator of ChunkedGenerationResponses: `stream_retry_count` attempts in all to begin it, with
        the first two candidates exchanged after one that took too long, if that is wanted.
        """
        more = labels(self.additional_metadata, model_router_metadata) | limits(timeout, max_retries)
        operation = operations.generation(ordered_generation_requests, is_stream=is_stream, more=more)
        if is_stream:
            return self._connection.stream(operation, stream_retry_count, switch=switch_models_order_on_timeout)
        return self._connection.ask(operation)

    async def agenerate(
        self,
        *,
        ordered_generation_requests: Iterable[ModelGenerationRequest],
        is_stream: bool = False,
        model_router_metadata: GPTRouterMetadata | None = None,
        stop_stream_signal: asyncio.Event | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it is the server's, and told to it
        max_retries: int | None = None,
        stream_retry_count: int = 1,
        switch_models_order_on_timeout: bool = False,
    ) -> Any:
        """As `generate`. A stream, which is awaited and then iterated over, stops when `stop_stream_signal` is set."""
        more = labels(self.additional_metadata, model_router_metadata) | limits(timeout, max_retries)
        operation = operations.generation(ordered_generation_requests, is_stream=is_stream, more=more)
        if is_stream:
            return self._connection.astream(
                operation, stream_retry_count, switch=switch_models_order_on_timeout, stop=stop_stream_signal
            )
        return await self._connection.aask(operation)

    def generate_from_prompt(
        self, *, data: Mapping[str, Any], is_stream: bool = False, model_router_metadata: GPTRouterMetadata | None = None
    ) -> Any:
        """A stored prompt: `data` is {"promptId", "inputData", "label"?, "n"?, "language"?, "userId"?}."""
        operation = operations.stored_prompt(data, is_stream=is_stream, more=self._labels(model_router_metadata))
        return self._connection.stream(operation) if is_stream else self._connection.ask(operation)

    async def agenerate_from_prompt(
        self, *, data: Mapping[str, Any], is_stream: bool = False, model_router_metadata: GPTRouterMetadata | None = None
    ) -> Any:
        operation = operations.stored_prompt(data, is_stream=is_stream, more=self._labels(model_router_metadata))
        return self._connection.astream(operation) if is_stream else await self._connection.aask(operation)

    # -------------------------------------------------------------------------------------------------------- embeddings
    def generate_embeddings(
        self,
        *,
        ordered_generation_requests: Iterable[ModelRouterEmbeddingsGenerationRequest],
        model_router_metadata: GPTRouterMetadata | None = None,
    ) -> Embeddings:
        return self._connection.ask(operations.embeddings(ordered_generation_requests, self._labels(model_router_metadata)))

    async def agenerate_embeddings(
        self,
        *,
        ordered_generation_requests: Iterable[ModelRouterEmbeddingsGenerationRequest],
        model_router_metadata: GPTRouterMetadata | None = None,
    ) -> Embeddings:
        return await self._connection.aask(
            operations.embeddings(ordered_generation_requests, self._labels(model_router_metadata))
        )

    def generate_embeddings_v2(
        self,
        *,
        input: list[str],  # noqa: A002 - its name there
        model_name: str,
        model_router_metadata: GPTRouterMetadata | None = None,
    ) -> Embeddings:
        return self._connection.ask(operations.embeddings_v2(input, model_name, self._labels(model_router_metadata)))

    async def agenerate_embeddings_v2(
        self,
        *,
        input: list[str],  # noqa: A002 - its name there
        model_name: str,
        model_router_metadata: GPTRouterMetadata | None = None,
    ) -> Embeddings:
        return await self._connection.aask(operations.embeddings_v2(input, model_name, self._labels(model_router_metadata)))

    # ------------------------------------------------------------------------------------------------------------ images
    def generate_images(self, *, image_generation_request: ImageGenerationRequest) -> list[ImageGenerationResponse]:
        return self._connection.ask(operations.images(image_generation_request))

    async def agenerate_images(self, *, image_generation_request: ImageGenerationRequest) -> list[ImageGenerationResponse]:
        return await self._connection.aask(operations.images(image_generation_request))

    def edit_image(self, *, image_edit_request: ImageEditRequest) -> list[ImageGenerationResponse]:
        return self._connection.ask(operations.image_edit(image_edit_request))

    async def aedit_image(self, *, image_edit_request: ImageEditRequest) -> list[ImageGenerationResponse]:
        return await self._connection.aask(operations.image_edit(image_edit_request))

    # --------------------------------------------------------------------------------------------------------- decisions
    def generate_system_one(
        self,
        *,
        ordered_generation_requests: Iterable[ModelRouterSystemOneGenerationRequest],
        model_router_metadata: GPTRouterMetadata | None = None,
    ) -> Decisions:
        return self._connection.ask(operations.system_one(ordered_generation_requests, self._labels(model_router_metadata)))

    async def agenerate_system_one(
        self,
        *,
        ordered_generation_requests: Iterable[ModelRouterSystemOneGenerationRequest],
        model_router_metadata: GPTRouterMetadata | None = None,
    ) -> Decisions:
        return await self._connection.aask(
            operations.system_one(ordered_generation_requests, self._labels(model_router_metadata))
        )

    # ------------------------------------------------------------------------------------------- what the server knows
    def providers(self) -> list[dict[str, Any]]:
        return self._list("provider/all")

    def models(self) -> list[dict[str, Any]]:
        return self._list("model/all")

    def health(self, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        """How models have fared; `start` and `end` are ISO dates."""
        return self._list("healthcheck", startDate=start, endDate=end)

    def model_usage(self, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        return self._list("model-usage/model", startDate=start, endDate=end)

    async def aproviders(self) -> list[dict[str, Any]]:
        return await self._alist("provider/all")

    async def amodels(self) -> list[dict[str, Any]]:
        return await self._alist("model/all")

    async def ahealth(self, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        return await self._alist("healthcheck", startDate=start, endDate=end)

    async def amodel_usage(self, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        return await self._alist("model-usage/model", startDate=start, endDate=end)

    # ------------------------------------------------------------------------------------------------------------ inside
    def close(self) -> None:
        self._connection.close()

    async def aclose(self) -> None:
        await self._connection.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _labels(self, given: GPTRouterMetadata | None) -> dict[str, Any]:
        return labels(self.additional_metadata, given)

    def _list(self, path: str, **query: str | None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._connection.ask(operations.listing(path, **query))
        return found

    async def _alist(self, path: str, **query: str | None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._connection.aask(operations.listing(path, **query))
        return found


def _variable(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
