"""The dialect `openrouter_images`: POST /images as OpenRouter has it, with images beside the prompt. The upstream half.

Called through `registry.get`. Source: https://openrouter.ai/docs/features/multimodal/image-generation
"""

from __future__ import annotations

from dragoman.core.media import ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_images.answers import read_response

NAME = "openrouter_images"
_FIELDS = ("model", "prompt", "n", "size", "quality", "background", "output_format", "output_compression")
_OWN = ("aspect_ratio", "resolution", "seed", "provider")


class OpenRouterImages(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/images"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        body = wire.said(request, _FIELDS) | wire.native(request.extra, _OWN)
        if request.images:
            body["input_references"] = [
                {"type": "image_url", "image_url": {"url": image.address()}} for image in request.images
            ]
        return EncodedRequest(body, wire.unsaid(request, (*_FIELDS, "images"), NAME, own=_OWN))

    def decode_response(self, body: bytes) -> ImageResponse:
        return read_response(wire.read_answer(body))


DIALECT = OpenRouterImages()
