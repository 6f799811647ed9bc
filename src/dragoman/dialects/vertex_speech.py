"""The dialect `vertex_speech`: as `gemini_speech`, under the path of Vertex AI. The upstream half.

Called through `registry.get`. Source: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest
"""

from __future__ import annotations

from dragoman.dialects.gemini_speech import GeminiSpeech


class VertexSpeech(GeminiSpeech):
    name = "vertex_speech"
    folder = "/publishers/google/models"


DIALECT = VertexSpeech()
