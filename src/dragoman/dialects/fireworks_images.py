"""The dialect `fireworks_images`: Fireworks' text_to_image workflows, a shape in place of pixels. The upstream half.

Called through `registry.get`. Source: https://docs.fireworks.ai/api-reference/generate-a-new-image-from-a-text-prompt
"""

from __future__ import annotations

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "fireworks_images"
_RATIOS = ("1:1", "21:9", "16:9", "3:2", "5:4", "4:5", "2:3", "9:16", "9:21", "4:3", "3:4")
_ABLE = ("prompt", "size", "n", "response_format")
_OWN = ("aspect_ratio", "guidance_scale", "num_inference_steps", "seed")


class FireworksImages(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return f"/workflows/{wire.in_path(model)}/text_to_image"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        ratio, lost = wire.nearest_ratio(request.size, _RATIOS)
        body: Body = wire.said(request, ("prompt",)) | ({"aspect_ratio": ratio} if ratio else {})
        body |= wire.native(request.extra, _OWN)
        return EncodedRequest(body, lost + wire.unsaid(request, _ABLE, NAME, own=_OWN) + wire.one_only(request, NAME))

    def decode_response(self, body: bytes) -> ImageResponse:
        value = wire.read_answer(body)
        held = value.get("base64")
        images = [image for image in (held if isinstance(held, list) else [held]) if wire.text_or_none(image)]
        if value.get("finishReason") == "CONTENT_FILTERED":
            raise wire.refused("the image was kept back: CONTENT_FILTERED")
        if not images:
            raise ResponseDecodeError("the answer is no object with `base64`")
        return ImageResponse(
            images=tuple(GeneratedImage(data=image) for image in images),
            extra=wire.left_over(value, {"base64"}, NAME),
        )


DIALECT = FireworksImages()
