"""The models that an Ollama server holds (GET /api/tags), the upstream half. `created` is when a model was last pulled.

Source: https://docs.ollama.com/api/tags
"""

from __future__ import annotations

from dragoman.core.operations import ModelListing
from dragoman.dialects.model_lists import ModelList, read_items, read_model

NAME = "ollama_models"


class OllamaModels(ModelList):
    name = NAME

    def page(self, cursor: str | None) -> str:  # noqa: ARG002 - there is one page
        return "/api/tags"

    def decode_response(self, body: bytes) -> ModelListing:
        """Raises ResponseDecodeError for what has no name."""
        items, _ = read_items(body, "models")
        return ModelListing(models=tuple(read_model(item, place, NAME, "model", "name") for place, item in enumerate(items)))


DIALECT = OllamaModels()
