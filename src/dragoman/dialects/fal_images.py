"""The dialect `fal_images`: fal's models that make images, asked in one go under fal.run. The upstream half.

Each model has a schema of its own; what is written here is what most of them have in common. A model's further fields go
through as they are. Called through `registry.get`. Source: https://docs.fal.ai/model-apis
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "fal_images"
_OWN = (
    "seed negative_prompt num_inference_steps guidance_scale loras sync_mode enable_safety_checker acceleration strength "
    "aspect_ratio image_size model_name"
).split()
_ABLE = ("prompt", "n", "size", "output_format", "response_format", "images", "mask")


class FalImages(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return f"/{wire.in_path(model)}"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        """With `sync_mode` the images come in the answer and not at an address."""
        body: Body = wire.said(request, ("prompt", "output_format"))
        if request.n is not None:
            body["num_images"] = request.n
        if size := wire.pixels(request.size):
            body["image_size"] = {"width": size[0], "height": size[1]}
        if request.response_format == "b64_json":
            body["sync_mode"] = True
        if len(request.images) == 1:
            body["image_url"] = request.images[0].address()
        elif request.images:
            body["image_urls"] = [image.address() for image in request.images]
        if request.mask:
            body["mask_url"] = request.mask.address()
        return EncodedRequest(body | wire.native(request.extra, _OWN), wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def decode_response(self, body: bytes) -> ImageResponse:
        value = wire.read_answer(body)
        images = wire.objects(value.get("images")) or wire.objects([value.get("image")])
        if not images:
            raise ResponseDecodeError(f"the answer holds no images but {', '.join(value) or 'nothing'}")
        return ImageResponse(
            images=tuple(_read_image(f"images[{place}]", image) for place, image in enumerate(images)),
            extra=wire.left_over(value, {"images", "image"}, NAME),
        )


DIALECT = FalImages()


def _read_image(path: str, image: Any) -> GeneratedImage:
    url = wire.text_or_none(image.get("url"))
    if url is None:
        raise ResponseDecodeError(f"{path} has no url but {json.kind(image.get('url'))}")
    left = wire.left_over(image, {"url", "content_type"}, NAME)
    head, base64, data = url.partition(";base64,") if url.startswith("data:") else ("", "", "")
    if base64:
        return GeneratedImage(data=data, media_type=head.removeprefix("data:"), extra=left)
    return GeneratedImage(url=url, media_type=wire.text_or_none(image.get("content_type")), extra=left)
