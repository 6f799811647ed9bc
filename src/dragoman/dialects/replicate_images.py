"""The dialect `replicate_images`: Replicate's models that make images, created first and asked for. The upstream half.

Each model has inputs of its own; what is written here is what most of them have in common, and further ones go through as
they are. "owner/name" is asked under its model, "owner/name:version" under its version. Called through `registry.get`.
Source: https://replicate.com/docs/reference/http#predictions.create
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.errors import ErrorDetail, ResponseDecodeError, error_for
from dragoman.core.http import HttpResponse
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest, Poll
from dragoman.dialects.media_wire import Body

NAME = "replicate_images"
WAIT = 1.0
"""Seconds between two questions; the first is answered late already, because of `prefer: wait`."""

_WAITING = frozenset({"starting", "processing"})
_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_SHAPED = ("flux", "stable-diffusion-3", "imagen", "ideogram", "recraft")
"""Models, by a part of their name, that take a shape and no pixels."""
_OWN = (
    "seed negative_prompt num_inference_steps guidance guidance_scale prompt_strength aspect_ratio width height scheduler "
    "refine lora_scale disable_safety_checker go_fast megapixels output_quality"
).split()
_ABLE = ("prompt", "n", "size", "output_format", "response_format", "images", "mask")
_VERSION = 64
"""Letters of a version's name, which may also stand alone."""


class ReplicateImages(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/predictions" if _version(model) else f"/models/{wire.in_path(model)}/predictions"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("prefer", "wait"),)

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        given: Body = wire.said(request, ("prompt", "output_format"))
        if request.n is not None:
            given["num_outputs"] = request.n
        ratio, lost = wire.nearest_ratio(request.size, _RATIOS) if _shaped(request.model) else (None, ())
        if ratio:
            given["aspect_ratio"] = ratio
        elif size := wire.pixels(request.size):
            given["width"], given["height"] = size
        if len(request.images) > 1:
            raise wire.bad("image", f"{NAME} takes one image, found {len(request.images)}")
        given |= {"image": request.images[0].address()} if request.images else {}
        given |= {"mask": request.mask.address()} if request.mask else {}
        given |= wire.native(request.extra, _OWN)
        version = _version(request.model)
        body: Body = {"input": given} | ({"version": version} if version else {})
        return EncodedRequest(body, lost + wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def poll(self, response: HttpResponse) -> Poll | None:
        try:
            value = json.decode(response.body)
        except (json.DecodeError, UnicodeDecodeError):
            return None
        if not isinstance(value, dict) or value.get("status") not in _WAITING:
            return None
        urls = value.get("urls")
        address = urls.get("get") if isinstance(urls, dict) else None
        return Poll(address if isinstance(address, str) else f"predictions/{value.get('id')}", WAIT)

    def decode_response(self, body: bytes) -> ImageResponse:
        value = _read(body)
        output = value.get("output")
        addresses = [item for item in (output if isinstance(output, list) else [output]) if wire.text_or_none(item)]
        if value.get("status") not in {"succeeded", "processing", "starting"}:
            said = value.get("error") or value.get("status") or "no status"
            raise error_for(502, ErrorDetail(message=f"the image was not made: {said}"))
        if not addresses:
            raise ResponseDecodeError(f"the answer holds no images: status {value['status']}, output {json.kind(output)}")
        known = {"output", "input", "logs", "urls", "error"}
        return ImageResponse(images=tuple(map(_image, addresses)), extra=wire.left_over(value, known, NAME))


DIALECT = ReplicateImages()


def _read(body: bytes) -> Body:
    """A prediction's `error` is told by its status; only an error without a prediction is one of the API."""
    try:
        value = json.decode(body)
    except (json.DecodeError, UnicodeDecodeError) as problem:
        raise ResponseDecodeError(f"the answer is no JSON: {problem}") from None
    if not isinstance(value, dict):
        raise ResponseDecodeError(f"the answer is no object but {json.kind(value)}")
    if "id" not in value:
        status = openai_errors.embedded_status(value)
        raise error_for(status, openai_errors.read_error(status, value))
    return value


def _image(address: Any) -> GeneratedImage:
    head, base64, data = address.partition(";base64,") if address.startswith("data:") else ("", "", "")
    return GeneratedImage(data=data, media_type=head.removeprefix("data:")) if base64 else GeneratedImage(url=address)


def _version(model: str) -> str | None:
    """The version behind the colon, or the name where it is nothing but a version."""
    _, colon, version = model.partition(":")
    if colon:
        return version
    return model if len(model) == _VERSION and "/" not in model else None


def _shaped(model: str) -> bool:
    return any(kind in model for kind in _SHAPED)
