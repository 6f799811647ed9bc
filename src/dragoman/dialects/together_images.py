"""The dialect `together_images`: POST /images/generations as Together has it, pixels as two numbers. The upstream half.

Called through `registry.get`. Source: https://docs.together.ai/reference/post-images-generations
"""

from __future__ import annotations

from dragoman.core.media import ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_images.answers import read_response

NAME = "together_images"
_FIELDS = ("model", "prompt", "n", "response_format", "output_format")
_OWN = ("seed", "steps", "guidance_scale", "negative_prompt", "image_loras", "disable_safety_checker")


class TogetherImages(wire.MediaDialect):
    """One image to start from travels as its address."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/images/generations"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        body = wire.said(request, _FIELDS) | wire.native(request.extra, _OWN)
        if body.get("response_format") == "b64_json":
            body["response_format"] = "base64"
        size = wire.pixels(request.size)
        if size:
            body["width"], body["height"] = size
        if len(request.images) > 1:
            raise wire.bad("image", f"{NAME} takes one image, found {len(request.images)}")
        if request.images:
            body["image_url"] = request.images[0].address()
        return EncodedRequest(body, wire.unsaid(request, (*_FIELDS, "size", "images"), NAME, own=_OWN))

    def decode_response(self, body: bytes) -> ImageResponse:
        return read_response(wire.read_answer(body))


DIALECT = TogetherImages()
