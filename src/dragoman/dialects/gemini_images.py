"""The dialect `gemini_images`: images out of Gemini's generateContent. The upstream half.

Takes images to start from, one prompt, a shape in place of pixels; gives one image a request. Imagen, which is asked another
way, is `gemini_imagen`. Called through `registry.get`. Source: https://ai.google.dev/gemini-api/docs/image-generation
"""

from __future__ import annotations

import base64
from typing import Any

from dragoman.core.chat import Usage
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse, MediaFile
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "gemini_images"
RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_ABLE = ("prompt", "size", "images", "n", "response_format")
_OWN = ("generationConfig", "safetySettings", "tools")


class GeminiImages(wire.MediaDialect):
    name = NAME
    folder = "/models"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return f"{self.folder}/{wire.in_path(model)}:generateContent"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        ratio, lost = wire.nearest_ratio(request.size, RATIOS)
        own = wire.native(request.extra, _OWN)
        config: Body = {"responseModalities": ["IMAGE"]} | ({"imageConfig": {"aspectRatio": ratio}} if ratio else {})
        config |= own.pop("generationConfig", {})
        parts: list[Body] = [{"text": request.prompt}] if request.prompt else []
        parts += [_part(image) for image in request.images]
        body: Body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
        lost += wire.unsaid(request, _ABLE, NAME, own=_OWN) + wire.one_only(request, NAME)
        return EncodedRequest(body | own, lost)

    def decode_response(self, body: bytes) -> ImageResponse:
        value = wire.read_answer(body)
        candidates = wire.objects(value.get("candidates"))
        parts = [part for candidate in candidates for part in read_parts(candidate)]
        images = [part["inlineData"] for part in parts if isinstance(part.get("inlineData"), dict)]
        if not images:
            raise _nothing(value, candidates, parts)
        return ImageResponse(
            images=tuple(
                GeneratedImage(data=image.get("data"), media_type=wire.text_or_none(image.get("mimeType"))) for image in images
            ),
            usage=read_usage(value.get("usageMetadata")),
        )


DIALECT = GeminiImages()


def read_parts(candidate: Body) -> list[Body]:
    content = candidate.get("content")
    return wire.objects(content.get("parts")) if isinstance(content, dict) else []


def read_usage(given: Any) -> Usage | None:
    if not isinstance(given, dict):
        return None
    count = {key: value for key, value in given.items() if type(value) is int}
    return Usage(
        input_tokens=count.get("promptTokenCount", 0),
        output_tokens=count.get("candidatesTokenCount", 0) + count.get("thoughtsTokenCount", 0),
        reasoning_tokens=count.get("thoughtsTokenCount", 0),
        cache_read_tokens=count.get("cachedContentTokenCount", 0),
        input_image_tokens=_of_kind(given.get("promptTokensDetails"), "IMAGE"),
        output_image_tokens=_of_kind(given.get("candidatesTokensDetails"), "IMAGE"),
        output_audio_tokens=_of_kind(given.get("candidatesTokensDetails"), "AUDIO"),
    )


def _of_kind(details: Any, kind: str) -> int:
    counts = (item.get("tokenCount") for item in wire.objects(details) if item.get("modality") == kind)
    return sum(count for count in counts if type(count) is int)


def _part(file: MediaFile) -> Body:
    if file.data is None:
        return {"fileData": {"fileUri": file.file_id or file.url}}
    media_type = file.media_type or "image/png"
    return {"inlineData": {"mimeType": media_type, "data": base64.b64encode(file.data).decode()}}


def _nothing(value: Body, candidates: list[Body], parts: list[Body]) -> Exception:
    """Why there is no image: the prompt or the image was kept back, or the model only talked."""
    feedback = value.get("promptFeedback")
    reasons = [feedback.get("blockReason")] if isinstance(feedback, dict) else []
    reasons += [candidate.get("finishReason") for candidate in candidates if candidate.get("finishReason") != "STOP"]
    told = " ".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    if any(reasons):
        return wire.refused(f"the image was kept back: {', '.join(str(reason) for reason in reasons if reason)} {told}".strip())
    return ResponseDecodeError(f"the answer holds no image, but says: {told[:500]}" if told else "the answer holds no image")
