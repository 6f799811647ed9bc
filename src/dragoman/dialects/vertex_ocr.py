"""Mistral's OCR on Vertex AI: Mistral's own API but for the path. Documents are given as data: addresses there.

Called through `registry.get`. Source: https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/mistral/mistral-ocr
"""

from __future__ import annotations

from dragoman.dialects.gemini.common import method_path
from dragoman.dialects.mistral_ocr import NAME, MistralOCR


class VertexOCR(MistralOCR):
    name = "vertex_ocr"
    same_as = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return method_path(model, "rawPredict", "/publishers/mistralai/models")


DIALECT = VertexOCR()
