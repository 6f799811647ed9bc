"""The dialect `xai_image_edits`: POST /images/edits as xAI has it, JSON with the images in it. The upstream half.

Images that were made come back as OpenAI's do. Called through `registry.get`.
Source: https://docs.x.ai/docs/guides/image-generations
"""

from __future__ import annotations

from dragoman.core.media import ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_images.answers import read_response

NAME = "xai_image_edits"
_FIELDS = ("model", "prompt", "n", "response_format")
_OWN = ("aspect_ratio", "resolution")


class XAIImageEdits(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/images/edits"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        body = wire.said(request, _FIELDS) | wire.native(request.extra, _OWN)
        body["images"] = [{"type": "image_url", "url": image.address()} for image in request.images]
        return EncodedRequest(body, wire.unsaid(request, (*_FIELDS, "images"), NAME, own=_OWN))

    def decode_response(self, body: bytes) -> ImageResponse:
        return read_response(wire.read_answer(body))


DIALECT = XAIImageEdits()
