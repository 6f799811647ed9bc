"""The dialect `stability_images`: Stability AI's v2beta "generate" endpoints, a form in and JSON out. The upstream half.

The model names the endpoint: core, ultra, or one of the Stable Diffusion 3 kind, which share one. Called through
`registry.get`. Source: https://platform.stability.ai/docs/api-reference#tag/Generate
"""

from __future__ import annotations

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "stability_images"
_RATIOS = ("21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21")
_ABLE = ("prompt", "size", "output_format", "images", "n", "response_format", "style")
_OWN = ("negative_prompt", "seed", "style_preset", "cfg_scale", "strength", "aspect_ratio")
_ENDPOINTS = ("core", "ultra")
_STRENGTH = 0.7
"""How far to leave the image that was given, where the caller does not say: the maker wants a figure."""


class StabilityImages(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return f"/stable-image/generate/{_endpoint(model)}"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        ratio, lost = wire.nearest_ratio(request.size, _RATIOS)
        fields: Body = wire.said(request, ("prompt", "output_format"))
        fields |= {"style_preset": request.style} if request.style else {}
        if _endpoint(request.model) == "sd3":
            fields |= {"model": request.model.removeprefix("stability/")}
        files = []
        if request.images:
            fields |= {"mode": "image-to-image", "strength": _STRENGTH}
            files = [("image", wire.with_bytes(image, "image", NAME)) for image in request.images[:1]]
        elif ratio:
            fields["aspect_ratio"] = ratio
        if len(request.images) > 1:
            raise wire.bad("image", f"{NAME} takes one image, found {len(request.images)}")
        fields |= wire.native(request.extra, _OWN)
        lost += wire.unsaid(request, _ABLE, NAME, own=_OWN) + wire.one_only(request, NAME)
        return wire.form(fields, files, warnings=lost)

    def decode_response(self, body: bytes) -> ImageResponse:
        """`finish_reason` CONTENT_FILTERED comes with an image that is blurred: it is no answer."""
        value = wire.read_answer(body)
        if value.get("finish_reason") == "CONTENT_FILTERED":
            raise wire.refused("the image was kept back: CONTENT_FILTERED")
        data = wire.text_or_none(value.get("image"))
        if data is None:
            raise ResponseDecodeError("the answer is no object with `image`")
        return ImageResponse(images=(GeneratedImage(data=data),), extra=wire.left_over(value, {"image"}, NAME))


DIALECT = StabilityImages()


def _endpoint(model: str) -> str:
    return next((name for name in _ENDPOINTS if model.endswith(name)), "sd3")
