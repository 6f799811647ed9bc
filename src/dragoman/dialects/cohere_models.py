"""Models as Cohere lists them (GET /v1/models), the upstream half. Source: https://docs.cohere.com/reference/list-models"""

from __future__ import annotations

from urllib.parse import quote

from dragoman.core.operations import ModelListing
from dragoman.dialects.media_wire import text_or_none
from dragoman.dialects.model_lists import PAGE_SIZE, ModelList, read_items, read_model

NAME = "cohere_models"


class CohereModels(ModelList):
    name = NAME

    def page(self, cursor: str | None) -> str:
        after = f"&page_token={quote(cursor, safe='')}" if cursor else ""
        return f"/v1/models?page_size={PAGE_SIZE}{after}"

    def decode_response(self, body: bytes) -> ModelListing:
        """Raises ResponseDecodeError for what has no name."""
        items, value = read_items(body, "models")
        models = tuple(read_model(item, place, NAME, "name") for place, item in enumerate(items))
        return ModelListing(models=models, next_page=text_or_none(value.get("next_page_token")))


DIALECT = CohereModels()
