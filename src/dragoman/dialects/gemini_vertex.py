"""The generateContent API as Vertex AI serves it: the same bodies under the path of a publisher.

A model's name with slashes in it (`endpoints/7` for a tuned one) is a whole resource and stands in the path as it is.
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/projects.locations.publishers.models/generateContent
"""

from __future__ import annotations

from dragoman.dialects.base import Dialect
from dragoman.dialects.gemini import STREAMED, UNARY, Gemini
from dragoman.dialects.gemini.common import NAME, method_path

PUBLISHER = "/publishers/google/models"


class GeminiVertex(Gemini):
    name = "gemini_vertex"
    same_as = NAME

    def path(self, model: str, *, stream: bool) -> str:
        return method_path(model, STREAMED if stream else UNARY, PUBLISHER)


DIALECT: Dialect = GeminiVertex()
