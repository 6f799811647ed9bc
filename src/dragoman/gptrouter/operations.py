"""What the client can ask, as data: a path, a body, and how the answer is read. Pure; `connection` sends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from dragoman.gptrouter.base import Model
from dragoman.gptrouter.decisions import ModelRouterSystemOneGenerationResponse
from dragoman.gptrouter.models import (
    GenerationResponse,
    GPTRouterMetadata,
    ImageEditRequest,
    ImageGenerationRequest,
    ImageGenerationResponse,
    ModelRouterEmbeddingsGenerationResponse,
)

Result = TypeVar("Result")


class Operation(NamedTuple, Generic[Result]):
    method: str
    path: str
    body: dict[str, Any] | None
    read: Callable[[Any], Result]


def labels(first: GPTRouterMetadata | None, then: GPTRouterMetadata | None) -> dict[str, Any]:
    """The client's metadata with the call's over it; what the call leaves out stays. Further fields go under `metadata`."""
    told: dict[str, Any] = {}
    for one in (first, then):
        told |= one.wire() if one is not None else {}
    known = ("tag", "historyId", "createdByUserId", "appId")
    found = {key: told[key] for key in known if key in told}
    given = told.get("metadata")
    more = {key: value for key, value in told.items() if key not in (*known, "metadata")}
    return {**found, "metadata": {**(given if isinstance(given, dict) else {}), **more}}


def limits(timeout: float | None, max_retries: int | None) -> dict[str, Any]:
    """`timeout` in seconds, on the wire milliseconds."""
    found: dict[str, Any] = {} if timeout is None else {"timeout": timeout * 1000}
    return found if max_retries is None else {**found, "maxRetries": max_retries}


def generation(requests: Iterable[Model], *, is_stream: bool, more: Mapping[str, Any]) -> Operation[GenerationResponse]:
    body = {"stream": is_stream, "data": _candidates(requests), **more}
    return Operation("POST", "/v1/generate", body, _reader(GenerationResponse))


def stored_prompt(data: Mapping[str, Any], *, is_stream: bool, more: Mapping[str, Any]) -> Operation[GenerationResponse]:
    body = {"stream": is_stream, "data": dict(data), **more}
    return Operation("POST", "/v1/generate/prompt", body, _reader(GenerationResponse))


def embeddings(requests: Iterable[Model], more: Mapping[str, Any]) -> Operation[ModelRouterEmbeddingsGenerationResponse]:
    body = {"data": _candidates(requests), **more}
    return Operation("POST", "/v1/generate/embeddings", body, _reader(ModelRouterEmbeddingsGenerationResponse))


def embeddings_v2(
    texts: list[str], model_name: str, more: Mapping[str, Any]
) -> Operation[ModelRouterEmbeddingsGenerationResponse]:
    body = {"input": texts, "modelName": model_name, **more}
    return Operation("POST", "/v1/generate/embeddings-v2", body, _reader(ModelRouterEmbeddingsGenerationResponse))


def images(request: ImageGenerationRequest) -> Operation[list[ImageGenerationResponse]]:
    body = request.wire()
    if request.width and request.height:
        body["size"] = f"{request.width}x{request.height}"
    return Operation("POST", "/v1/generate/generate-image", body, read_images)


def image_edit(request: ImageEditRequest) -> Operation[list[ImageGenerationResponse]]:
    return Operation("POST", "/v1/generate/edit-image", request.wire(), read_images)


def system_one(requests: Iterable[Model], more: Mapping[str, Any]) -> Operation[ModelRouterSystemOneGenerationResponse]:
    body = {"data": _candidates(requests), **more}
    return Operation("POST", "/v1/generate/system-one", body, _reader(ModelRouterSystemOneGenerationResponse))


def listing(path: str, **query: str | None) -> Operation[Any]:
    """A page of values as they come."""
    asked = urlencode({key: value for key, value in query.items() if value is not None})
    return Operation("GET", f"/v1/{path}" + (f"?{asked}" if asked else ""), None, lambda value: value)


def _candidates(requests: Iterable[Model]) -> list[dict[str, Any]]:
    """In order, each in both spellings of its names, as the server's routes differ in which they read."""
    found = []
    for place, request in enumerate(requests, 1):
        body = {"order": place, **request.wire()}
        for one, other in (("modelName", "model_name"), ("providerName", "model_provider")):
            if other in body:
                body.setdefault(one, body[other])
        found.append(body)
    if not found:
        raise ValueError("ordered_generation_requests: expected at least one, found none")
    return found


def _reader(kind: type[Result]) -> Callable[[Any], Result]:
    return kind.model_validate  # type: ignore[attr-defined,no-any-return]  # it is one of our Models


def read_images(value: Any) -> list[ImageGenerationResponse]:
    """Addresses or base64, in each of the forms that vendors have: a list, `artifacts`, `imageUrls`, `data`."""
    held = value.get("response") if isinstance(value, dict) else value
    if isinstance(held, dict):
        held = next((held[key] for key in ("data", "artifacts", "imageUrls", "images") if key in held), [held])
    return [_image(item) for item in held or ()]


def _image(item: Any) -> ImageGenerationResponse:
    if isinstance(item, str):
        return ImageGenerationResponse(url=item)
    told = {key: value for key, value in item.items() if value is not None}
    data = told.pop("b64_json", None)
    return ImageGenerationResponse(**({"base64": data} if data else {}), **told)
