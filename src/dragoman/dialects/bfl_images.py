"""The dialect `bfl_images`: Black Forest Labs' FLUX, created first and asked for until it is there. The upstream half.

Models of the Kontext and Ultra kinds take a shape, the others pixels. Images live ten minutes at the address in the answer.
Called through `registry.get`. Source: https://docs.bfl.ai/api-reference
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.core.errors import ErrorDetail, ResponseDecodeError, error_for
from dragoman.core.http import HttpResponse
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse, MediaFile
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest, Poll
from dragoman.dialects.media_wire import Body

NAME = "bfl_images"
WAIT = 0.5
"""Seconds between two questions; the fastest models need about two."""

_RATIOS = ("21:9", "16:9", "3:2", "4:3", "1:1", "3:4", "2:3", "9:16", "9:21")
_SHAPED = ("kontext", "ultra")
_OWN = (
    "seed steps guidance prompt_upsampling safety_tolerance raw image_prompt image_prompt_strength aspect_ratio "
    "num_inference_steps width height"
).split()
_WAITING = frozenset({"Pending", "Queued", "Processing", "Reasoning"})
_KEPT_BACK = frozenset({"Request Moderated", "Content Moderated"})


class BFLImages(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return f"/{wire.in_path(model)}"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        size, lost = _size(request)
        body: Body = wire.said(request, ("prompt", "output_format")) | size | _images(request)
        body |= wire.native(request.extra, _OWN)
        able = ("prompt", "output_format", "size", "images", "mask", "n", "response_format")
        lost += wire.unsaid(request, able, NAME, own=_OWN) + wire.one_only(request, NAME)
        return EncodedRequest(body, lost)

    def poll(self, response: HttpResponse) -> Poll | None:
        """The first answer says where to ask; later ones, asked there, only that it is not there yet."""
        try:
            value = json.decode(response.body)
        except (json.DecodeError, UnicodeDecodeError):
            return None
        if not isinstance(value, dict):
            return None
        if "status" not in value and isinstance(value.get("polling_url"), str):
            return Poll(value["polling_url"], WAIT)
        return Poll("", WAIT) if value.get("status") in _WAITING else None

    def decode_response(self, body: bytes) -> ImageResponse:
        value = wire.read_answer(body)
        status = value.get("status")
        if status in _KEPT_BACK:
            raise wire.refused(f"the image was kept back: {status}")
        result: Any = value.get("result")
        url = wire.text_or_none(result.get("sample")) if isinstance(result, dict) else None
        if status == "Ready" and url:
            image = GeneratedImage(url=url, extra=wire.left_over(result, {"sample"}, NAME))
            return ImageResponse(images=(image,))
        if isinstance(status, str):
            raise error_for(502, ErrorDetail(message=f"the image was not made: {status}"))
        raise ResponseDecodeError("the answer is no object with `status` and `result.sample`")


DIALECT = BFLImages()


def _size(request: ImageRequest) -> tuple[Body, tuple[Warning, ...]]:
    if any(kind in request.model for kind in _SHAPED):
        ratio, lost = wire.nearest_ratio(request.size, _RATIOS)
        return ({"aspect_ratio": ratio} if ratio else {}), lost
    size = wire.pixels(request.size)
    return ({"width": size[0], "height": size[1]} if size else {}), ()


def _images(request: ImageRequest) -> Body:
    """Filling in takes `image` and `mask`; elsewhere images are references, counted from the second on."""
    if request.mask is not None:
        if len(request.images) != 1:
            raise wire.bad("image", f"expected one image beside a mask, found {len(request.images)}")
        return {"image": _content(request.images[0]), "mask": _content(request.mask)}
    names = ("input_image", *(f"input_image_{number}" for number in range(2, len(request.images) + 1)))
    return {name: _content(image) for name, image in zip(names, request.images, strict=False)}


def _content(file: MediaFile) -> str:
    """Base64 without the data: in front of it, or an address."""
    return file.address().partition(";base64,")[2] or file.address()
