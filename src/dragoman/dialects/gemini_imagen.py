"""The dialect `gemini_imagen`: Google's Imagen through `:predict`. The upstream half.

Called through `registry.get`. Source: https://ai.google.dev/gemini-api/docs/imagen
"""

from __future__ import annotations

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import GeneratedImage, ImageRequest, ImageResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "gemini_imagen"
_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
_ABLE = ("prompt", "size", "n", "response_format")
_OWN = ("negativePrompt", "personGeneration", "sampleImageSize", "seed", "addWatermark", "enhancePrompt", "safetySetting")


class GeminiImagen(wire.MediaDialect):
    name = NAME
    folder = "/models"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return f"{self.folder}/{wire.in_path(model)}:predict"

    def encode_request(self, request: ImageRequest) -> EncodedRequest:
        ratio, lost = wire.nearest_ratio(request.size, _RATIOS)
        parameters: Body = {"sampleCount": request.n or 1} | ({"aspectRatio": ratio} if ratio else {})
        parameters |= wire.native(request.extra, _OWN)
        body = {"instances": [{"prompt": request.prompt or ""}], "parameters": parameters}
        return EncodedRequest(body, lost + wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def decode_response(self, body: bytes) -> ImageResponse:
        predictions = wire.objects(wire.read_answer(body).get("predictions"))
        images = tuple(
            GeneratedImage(
                data=item["bytesBase64Encoded"],
                media_type=wire.text_or_none(item.get("mimeType")),
                revised_prompt=wire.text_or_none(item.get("prompt")),
            )
            for item in predictions
            if wire.text_or_none(item.get("bytesBase64Encoded"))
        )
        if images:
            return ImageResponse(images=images)
        reasons = [item["raiFilteredReason"] for item in predictions if wire.text_or_none(item.get("raiFilteredReason"))]
        if reasons:
            raise wire.refused("; ".join(reasons))
        raise ResponseDecodeError("the answer holds no predictions")


DIALECT = GeminiImagen()
