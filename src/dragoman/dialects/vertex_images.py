"""The dialect `vertex_images`: as `gemini_images`, under the path of Vertex AI. The upstream half.

Called through `registry.get`. Source: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest
"""

from __future__ import annotations

from dragoman.dialects.gemini_images import GeminiImages


class VertexImages(GeminiImages):
    name = "vertex_images"
    folder = "/publishers/google/models"


DIALECT = VertexImages()
