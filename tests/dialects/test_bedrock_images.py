"""Images on Bedrock by tables: what each maker's models are written, what is lost, what answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman import Client
from dragoman.core.errors import BadGatewayError, BadRequestError, ContentPolicyViolationError, ResponseDecodeError
from dragoman.core.http import HttpResponse
from dragoman.core.media import GeneratedImage, ImageRequest, MediaFile
from dragoman.dialects import registry
from dragoman.transport.replay import ReplayTransport

DIALECT = registry.get("bedrock_images")
CANVAS, TITAN, CORE = "amazon.nova-canvas-v1:0", "us.amazon.titan-image-generator-v2:0", "stability.stable-image-core-v1:1"


def asked(model: str = CANVAS, **wish: Any) -> ImageRequest:
    return ImageRequest(model=model, prompt="a cat", **wish)


def own(**fields: Any) -> dict[str, Any]:
    return {"extra": {"openai_images": fields}}


def canvas(**config: Any) -> dict[str, Any]:
    body = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a cat"}}
    return body | ({"imageGenerationConfig": config} if config else {})


@pytest.mark.parametrize(
    ("request_", "written", "lost"),
    [
        (asked(), canvas(), []),
        (asked(TITAN, n=2, size="1024x512"), canvas(numberOfImages=2, width=1024, height=512), []),
        (asked(quality="hd"), canvas(quality="premium"), []),
        (asked(quality="medium", size="auto"), canvas(quality="standard"), []),
        (asked(quality="auto", response_format="b64_json"), canvas(), []),
        (asked(style="vivid", user="u"), canvas(), ["style", "user"]),
        (asked(**own(seed=7, cfgScale=8.0, negativeText="a dog", steps=3)),
         {**canvas(cfgScale=8.0, seed=7), "textToImageParams": {"text": "a cat", "negativeText": "a dog"}},
         ["extra.openai_images.steps"]),
        (asked(CORE), {"prompt": "a cat"}, []),
        (asked(CORE, size="1024x1024", output_format="png", **own(seed=7)),
         {"prompt": "a cat", "aspect_ratio": "1:1", "output_format": "png", "seed": 7}, []),
        (asked(CORE, size="1000x600", n=2), {"prompt": "a cat", "aspect_ratio": "16:9"}, ["size", "n"]),
        (asked(CORE, images=(MediaFile(data=b"PNG"),)), {"prompt": "a cat"}, ["images"]),
    ],
)  # fmt: skip
def test_what_is_written(request_: ImageRequest, written: dict[str, Any], lost: list[str]) -> None:
    body, warnings, content_type = DIALECT.encode_request(request_)
    assert (body, content_type) == (written, "application/json")
    assert [warning.field for warning in warnings] == lost


def test_a_call() -> None:
    answer = HttpResponse(status=200, headers=(("content-type", "application/json"),), body=b'{"images":["QQ=="]}')
    transport = ReplayTransport(answer)
    client = Client(transport=transport, env={"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_REGION": "eu-west-1"}, num_retries=0)
    made = client.image_generation("a cat", f"bedrock/{CANVAS}", size="512x512")
    assert made.data[0].b64_json == "QQ=="
    (request,) = transport.requests
    assert request.url == "https://bedrock-runtime.eu-west-1.amazonaws.com/model/amazon.nova-canvas-v1%3A0/invoke"
    assert json.loads(request.body) == canvas(width=512, height=512)


def test_a_model_that_is_none_of_these() -> None:
    with pytest.raises(BadRequestError, match="model: 'my-alias' makes no images in a way known here"):
        DIALECT.encode_request(asked("my-alias"))


@pytest.mark.parametrize(
    ("answer", "images", "warned", "extra"),
    [
        ({"images": ["QQ==", "Qg=="], "error": None}, ["QQ==", "Qg=="], [], {}),
        ({"images": ["QQ=="], "error": "some were blocked"}, ["QQ=="], ["fewer than asked for: some were blocked"], {}),
        ({"images": ["QQ=="], "seeds": [7], "finish_reasons": [None]}, ["QQ=="], [], {"bedrock_images": {"seeds": [7]}}),
    ],
)
def test_what_answers_mean(answer: Any, images: list[str], warned: list[str], extra: dict[str, Any]) -> None:
    found = DIALECT.decode_response(json.dumps(answer).encode())
    assert found.images == tuple(GeneratedImage(data=data) for data in images)
    assert [warning.message for warning in found.warnings] == warned
    assert found.extra == extra


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"finish_reasons": ["Filter reason: prompt"]}, ContentPolicyViolationError, "kept back: Filter reason: prompt"),
        (
            {"images": [], "error": "This request has been blocked by our content filters."},
            ContentPolicyViolationError,
            "blocked",
        ),
        ({"error": "width is too large"}, BadRequestError, "width is too large"),
        ({"finish_reasons": ["Inference error"]}, BadGatewayError, "Inference error"),
        ({}, ResponseDecodeError, "no object with `images`"),
        ([], ResponseDecodeError, "no object but array"),
    ],
)
def test_what_is_no_image(answer: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DIALECT.decode_response(json.dumps(answer).encode())


def test_what_is_no_json() -> None:
    with pytest.raises(ResponseDecodeError, match="no JSON"):
        DIALECT.decode_response(b"<html>")
