"""Images through Bedrock's InvokeModel: the bodies of Amazon Nova Canvas and Titan, and of Stability AI. The upstream half.

Amazon's models take pixels, Stability's a shape. Edits are not written: what Amazon's masks keep is what OpenAI's let go.
Called through `registry.get`. Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.core.errors import ResponseDecodeError, error_for
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.bedrock_converse import errors
from dragoman.dialects.bedrock_converse.common import path
from dragoman.dialects.media_wire import Body

NAME = "bedrock_images"
_RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
_QUALITIES = {"hd": "premium", "high": "premium", "premium": "premium", "auto": None}
"""OpenAI's words -> Amazon's; any other is the standard one."""
_CONFIGURED = ("cfgScale", "seed")
"""Amazon's own fields of `imageGenerationConfig`."""
_STATUSES = {"Inference error": 502}
"""Problems that are not the request's."""


class BedrockImages(wire.MediaDialect):
    name = NAME
    decode_error = staticmethod(errors.decode_error)

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return path(model, "invoke")

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        """Raises BadRequestError for a model that is none of these."""
        write = next((write for mark, write in _WRITERS.items() if mark in request.model), None)
        if write is None:
            known = ", ".join(_WRITERS)
            raise wire.bad(
                "model", f"{request.model!r} makes no images in a way known here: name one of {known}, no alias of it"
            )
        return write(request)

    def decode_response(self, body: bytes) -> ImageResponse:
        """Of several images some may be kept back, which is a Warning; of one, that is an error."""
        try:
            value = json.decode(body)
        except json.UNREADABLE as unreadable:
            raise ResponseDecodeError(f"the answer is no JSON: {unreadable}") from None
        if not isinstance(value, dict):
            raise ResponseDecodeError(f"the answer is no object but {json.kind(value)}")
        held, problem = value.get("images"), _problem(value)
        images = tuple(
            GeneratedImage(data=data) for data in (held if isinstance(held, list) else ()) if wire.text_or_none(data)
        )
        if not images:
            raise _failure(problem)
        lost = (Warning(field="images", message=f"fewer than asked for: {problem}"),) if problem else ()
        return ImageResponse(
            images=images, warnings=lost, extra=wire.left_over(value, {"images", "error", "finish_reasons"}, NAME)
        )


DIALECT = BedrockImages()


def _amazon(request: ImageRequest) -> EncodedRequest:
    own = ("negativeText", *_CONFIGURED)
    native = wire.native(request.extra, own)
    config: Body = {key: native.pop(key) for key in _CONFIGURED if key in native}
    if request.n is not None:
        config["numberOfImages"] = request.n
    if size := wire.pixels(request.size):
        config["width"], config["height"] = size
    if request.quality and (quality := _QUALITIES.get(request.quality, "standard")):
        config["quality"] = quality
    asked: Body = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": request.prompt, **native}}
    able = ("prompt", "n", "size", "quality", "response_format")
    return EncodedRequest(
        asked | ({"imageGenerationConfig": config} if config else {}), wire.unsaid(request, able, NAME, own=own)
    )


def _stability(request: ImageRequest) -> EncodedRequest:
    own = ("aspect_ratio", "seed", "negative_prompt")
    ratio, lost = wire.nearest_ratio(request.size, _RATIOS)
    body: Body = wire.said(request, ("prompt", "output_format")) | ({"aspect_ratio": ratio} if ratio else {})
    body |= wire.native(request.extra, own)
    able = ("prompt", "n", "size", "output_format", "response_format")
    return EncodedRequest(body, lost + wire.unsaid(request, able, NAME, own=own) + wire.one_only(request, NAME))


_WRITERS: dict[str, Callable[[ImageRequest], EncodedRequest]] = {
    "nova-canvas": _amazon,
    "titan-image": _amazon,
    "stability.": _stability,
}
"""A piece of the model's id -> who writes its body."""


def _problem(value: Body) -> str:
    """What Amazon tells in one message, and Stability of each image."""
    reasons: Any = value.get("finish_reasons")
    told = [str(reason) for reason in reasons if reason] if isinstance(reasons, list) else []
    return str(value.get("error") or "") or ", ".join(dict.fromkeys(told))


def _failure(problem: str) -> Exception:
    if not problem:
        return ResponseDecodeError("the answer is no object with `images`")
    if "Filter reason" in problem:
        return wire.refused(f"the image was kept back: {problem}")
    return error_for(_STATUSES.get(problem, 400), errors.decode_error(400, json.encode({"message": problem})))
