"""GPTRouter's image routes over every vendor of pictures: what each is asked in its own words, and what comes back in one form.

The answers are as the vendors' references show them, written by hand and replayed through the transport's seam.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx2
import pytest

from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.engine.call import CallOptions
from dragoman.gateway import config as gateway_config
from dragoman.gateway.gptrouter.routes import gptrouter_routes
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import Limits
from dragoman.gptrouter import GPTRouterClient, ImageEditRequest, ImageGenerationRequest
from dragoman.gptrouter.exceptions import GPTRouterNotAvailableError
from dragoman.router.retry import RetryPolicy
from dragoman.transport.replay import AsyncReplayTransport
from support.inprocess_server import run, serving

PNG = "iVBORw0KGgo="
FAR = "https://pictures.example/cat.png"


class Vendor(NamedTuple):
    """`model` as a configuration names it; `answers` in turn, to one request; `path`, and a word of the request's body."""

    model: str
    called: str
    answers: tuple[Any, ...]
    path: str
    word: str
    image: tuple[str | None, str | None] = (FAR, None)


GEMINI_PART = {"inlineData": {"mimeType": "image/png", "data": PNG}}
GEMINI = {"candidates": [{"content": {"parts": [GEMINI_PART]}, "finishReason": "STOP"}]}
CREATED = {"id": "1", "polling_url": "https://api.eu1.bfl.ai/v1/get_result?id=1"}
READY = {"id": "1", "status": "Ready", "result": {"sample": FAR}}
SQUARE, HERE = '"aspect_ratio":"1:1"', (None, PNG)
VENDORS = {
    "openai": Vendor(
        model="openai/dall-e-3",
        called="dall-e",
        answers=({"created": 1, "data": [{"url": FAR}]},),
        path="/images/generations",
        word='"size":"1024x1024"',
    ),
    "stability": Vendor(
        model="stability/core",
        called="stable-diffusion",
        answers=({"image": PNG, "finish_reason": "SUCCESS"},),
        path="/stable-image/generate/core",
        word="1:1",
        image=HERE,
    ),
    "fal": Vendor(
        model="fal/fal-ai/flux/dev",
        called="fal",
        answers=({"images": [{"url": FAR, "content_type": "image/png"}]},),
        path="/fal-ai/flux/dev",
        word='"image_size":{"width":1024,"height":1024}',
    ),
    "black_forest_labs": Vendor(
        model="black_forest_labs/flux-pro-1.1",
        called="black_forest_labs",
        answers=(CREATED, READY),
        path="/flux-pro-1.1",
        word='"width":1024',
    ),
    "replicate": Vendor(
        model="replicate/black-forest-labs/flux-schnell",
        called="replicate",
        answers=({"id": "p1", "status": "succeeded", "output": [FAR]},),
        path="/models/black-forest-labs/flux-schnell/predictions",
        word=SQUARE,
    ),
    "gemini": Vendor(
        model="gemini/gemini-2.5-flash-image",
        called="gemini",
        answers=(GEMINI,),
        path="/models/gemini-2.5-flash-image:generateContent",
        word='"aspectRatio":"1:1"',
        image=HERE,
    ),
    "imagen": Vendor(
        model="gemini/imagen-4.0-generate-001",
        called="gemini",
        answers=({"predictions": [{"bytesBase64Encoded": PNG, "mimeType": "image/png"}]},),
        path="/models/imagen-4.0-generate-001:predict",
        word='"aspectRatio":"1:1"',
        image=HERE,
    ),
    "together": Vendor(
        model="together_ai/black-forest-labs/FLUX.1-schnell",
        called="together_ai",
        answers=({"data": [{"url": FAR, "index": 0}]},),
        path="/images/generations",
        word='"width":1024',
    ),
}
EDITING = ("stability", "fal", "black_forest_labs", "replicate", "gemini", "together")


def ok(value: Any) -> HttpResponse:
    return HttpResponse(status=200, headers=(("content-type", "application/json"),), body=json.dumps(value).encode())


def exchanged(
    vendor: Vendor, use: Callable[[GPTRouterClient], Any], *, failing: int = 0, yaml: str = ""
) -> tuple[list[HttpRequest], Any]:
    """What the vendor was asked, and what `use` made of it; the first `failing` requests are answered 500."""
    whole = [ok(value) for value in vendor.answers]
    asked = 0

    def choose(request: HttpRequest) -> HttpResponse:
        nonlocal asked
        asked += 1
        if asked <= failing:
            return HttpResponse(status=500, body=b"{}")
        return whole[0] if request.method == "POST" else whole[-1]

    async def scenario() -> Any:
        entry = f"models: [{{name: 'pictures', model: '{vendor.model}', api_key: sk-up}}]"
        _, policy = gateway_config.read(yaml or entry, file="t", env={})
        pipeline = Pipeline(policy, transport, options=CallOptions())
        options = CallOptions(retry=RetryPolicy(max_retries=1, base=0.001))
        async with (
            serving(gptrouter_routes(pipeline, options=options), Limits()) as running,
            GPTRouterClient(f"http://127.0.0.1:{running.port}", "sk-any") as client,
            asyncio.timeout(20),
        ):
            return await use(client)

    transport = AsyncReplayTransport(choose=choose)
    found = run(scenario)
    return transport.requests, found


def text_of(request: HttpRequest) -> str:
    return (request.body or b"").decode("latin-1")


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("count", [1, 2])
def test_any_vendor_makes_as_many_pictures_as_are_asked_for(name: str, count: int) -> None:
    vendor = VENDORS[name]
    wish = ImageGenerationRequest(
        model_name="pictures", provider_name=vendor.called, prompt="a cat", num_images=count, width=1024, height=1024
    )
    asked, found = exchanged(vendor, lambda client: client.agenerate_images(image_generation_request=wish))
    created = [request for request in asked if request.method == "POST"]
    assert len(created) == count
    assert all(request.url.endswith(vendor.path) for request in created)
    assert all("a cat" in text_of(request) and vendor.word in text_of(request) for request in created)
    assert [(image.url, image.base64) for image in found] == [vendor.image] * count


@pytest.mark.parametrize("name", EDITING)
def test_any_vendor_that_can_changes_a_picture(name: str) -> None:
    vendor = VENDORS[name]
    wish = ImageEditRequest(model="pictures", image=PNG, prompt="a hat", size=None, quality=None)
    asked, found = exchanged(vendor, lambda client: client.aedit_image(image_edit_request=wish))
    assert "a hat" in text_of(asked[0])
    url, data = vendor.image
    assert [(image.url, image.base64) for image in found] == [(url or f"data:image/png;base64,{PNG}", data)]


@pytest.mark.parametrize("name", VENDORS)
def test_a_failure_is_tried_again(name: str) -> None:
    vendor = VENDORS[name]
    wish = ImageGenerationRequest(model_name="pictures", provider_name=vendor.called, prompt="p", num_images=1)
    asked, found = exchanged(vendor, lambda client: client.agenerate_images(image_generation_request=wish), failing=1)
    assert len([request for request in asked if request.method == "POST"]) == 2
    assert len(found) == 1


def test_another_deployment_makes_it_where_the_first_cannot() -> None:
    yaml = """
models:
  - {name: pictures, model: openai/dall-e-3, api_key: k, order: 1}
  - {name: pictures, model: openai/dall-e-3, api_key: other, order: 2}
"""
    wish = ImageGenerationRequest(model_name="pictures", provider_name="dall-e", prompt="p", num_images=1)
    asked, found = exchanged(
        VENDORS["openai"], lambda client: client.agenerate_images(image_generation_request=wish), failing=1, yaml=yaml
    )
    assert (len(asked), len(found)) == (2, 1)


def test_the_first_failure_of_several_pictures_is_the_answer() -> None:
    wish = ImageGenerationRequest(model_name="pictures", provider_name="dall-e", prompt="p", num_images=3)
    with pytest.raises(GPTRouterNotAvailableError):
        exchanged(VENDORS["openai"], lambda client: client.agenerate_images(image_generation_request=wish), failing=100)


def test_what_pictures_cost_is_told_where_it_is_known() -> None:
    usage = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 1290,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    vendor = VENDORS["gemini"]._replace(answers=({**GEMINI, "usageMetadata": usage},))

    async def use(client: GPTRouterClient) -> Any:
        body = {"imageVendor": "gemini", "model": "pictures", "prompt": "p", "numImages": 2}
        async with httpx2.AsyncClient(trust_env=False) as session:
            return (await session.post(f"{client.base_url}/api/v1/generate/generate-image", json=body)).json()

    _, found = exchanged(vendor, use)
    assert found["meta"]["cost"] == pytest.approx(2 * (10 * 0.3e-6 + 1290 * 30e-6))
    assert (found["meta"]["provider"], found["meta"]["model"]) == ("gemini", "pictures")
