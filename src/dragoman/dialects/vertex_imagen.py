"""The dialect `vertex_imagen`: as `gemini_imagen`, under the path of Vertex AI. The upstream half.

Called through `registry.get`. Source: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest
"""

from __future__ import annotations

from dragoman.dialects.gemini_imagen import GeminiImagen


class VertexImagen(GeminiImagen):
    name = "vertex_imagen"
    folder = "/publishers/google/models"


DIALECT = VertexImagen()
