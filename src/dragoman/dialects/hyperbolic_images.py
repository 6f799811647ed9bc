"""The dialect `hyperbolic_images`: POST /image/generation as Hyperbolic has it. The upstream half.

Called through `registry.get`. Source: https://docs.hyperbolic.xyz/docs/image-generation
"""

from __future__ import annotations

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest

NAME = "hyperbolic_images"
_SIDE = 1024
"""Pixels where no size is asked for: the maker wants both."""
_OWN = ("seed", "steps", "cfg_scale", "negative_prompt", "backend", "enable_refiner", "loras", "strength")


class HyperbolicImages(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/image/generation"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        width, height = wire.pixels(request.size) or (_SIDE, _SIDE)
        body = {"model_name": request.model, "prompt": request.prompt or "", "width": width, "height": height}
        body |= wire.native(request.extra, _OWN)
        lost = wire.unsaid(request, ("prompt", "size", "response_format", "n"), NAME, own=_OWN)
        return EncodedRequest(body, lost + wire.one_only(request, NAME))

    def decode_response(self, body: bytes) -> ImageResponse:
        value = wire.read_answer(body)
        images = [item["image"] for item in wire.objects(value.get("images")) if wire.text_or_none(item.get("image"))]
        if not images:
            raise ResponseDecodeError("the answer is no object with `images`")
        return ImageResponse(
            images=tuple(GeneratedImage(data=image) for image in images),
            extra=wire.left_over(value, {"images"}, NAME),
        )


DIALECT = HyperbolicImages()
