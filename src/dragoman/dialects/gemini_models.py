"""Models as Google AI Studio lists them (GET /models), both halves. A name is a resource: `models/` and the id.

Source: https://ai.google.dev/api/models
"""

from __future__ import annotations

from urllib.parse import quote

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import DragomanError
from dragoman.core.operations import ListedModel, ModelListing
from dragoman.dialects.gemini import DIALECT as GEMINI
from dragoman.dialects.media_wire import text_or_none
from dragoman.dialects.model_lists import PAGE_SIZE, ModelList, read_items, read_model
from dragoman.dialects.operation_wire import Body, said

NAME = "gemini_models"
_FOLDER = "models/"


class GeminiModels(ModelList):
    name = NAME
    decode_error = staticmethod(GEMINI.decode_error)

    def page(self, cursor: str | None) -> str:
        after = f"&pageToken={quote(cursor, safe='')}" if cursor else ""
        return f"/models?pageSize={PAGE_SIZE}{after}"

    def decode_response(self, body: bytes) -> ModelListing:
        """Raises ResponseDecodeError for what has no name."""
        items, value = read_items(body, "models")
        found = (read_model(item, place, NAME, "name") for place, item in enumerate(items))
        models = tuple(replace(model, id=model.id.removeprefix(_FOLDER)) for model in found)
        return ModelListing(models=models, next_page=text_or_none(value.get("nextPageToken")))

    def encode_response(self, listing: ModelListing, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        page = {"nextPageToken": listing.next_page} if listing.next_page else {}
        return json.encode({"models": [self.model(model) for model in listing.models], **page})

    def model(self, model: ListedModel) -> Body:
        """One model, as GET /models/ID answers."""
        known = {
            "displayName": model.name or model.id,
            "description": model.description,
            "inputTokenLimit": model.context_window,
            "outputTokenLimit": model.max_output_tokens,
        }
        name = model.id if "/" in model.id else f"{_FOLDER}{model.id}"
        return {"name": name, **said(known), **model.extra.get(NAME, {})}

    def encode_error(self, error: DragomanError) -> bytes:
        return GEMINI.encode_error(error)


DIALECT = GeminiModels()
