"""Models as Anthropic lists them (GET /v1/models), both halves; the newest come first, pages are told by the last id.

Source: https://docs.anthropic.com/en/api/models-list
"""

from __future__ import annotations

from urllib.parse import quote

from dragoman.core import json
from dragoman.core.errors import DragomanError
from dragoman.core.operations import ListedModel, ModelListing
from dragoman.dialects.anthropic_messages import DIALECT as MESSAGES
from dragoman.dialects.media_wire import text_or_none
from dragoman.dialects.model_lists import PAGE_SIZE, ModelList, iso_date, read_items, read_model
from dragoman.dialects.operation_wire import Body, said

NAME = "anthropic_models"


class AnthropicModels(ModelList):
    name = NAME
    decode_error = staticmethod(MESSAGES.decode_error)

    def page(self, cursor: str | None) -> str:
        after = f"&after_id={quote(cursor, safe='')}" if cursor else ""
        return f"/v1/models?limit={PAGE_SIZE}{after}"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return MESSAGES.headers()

    def decode_response(self, body: bytes) -> ModelListing:
        """Raises ResponseDecodeError for what has no id."""
        items, value = read_items(body, "data")
        models = tuple(read_model(item, place, NAME, "id") for place, item in enumerate(items))
        return ModelListing(models=models, next_page=text_or_none(value.get("last_id")) if value.get("has_more") else None)

    def encode_response(self, listing: ModelListing, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        ids = [model.id for model in listing.models]
        ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
        return json.encode({"data": [self.model(m) for m in listing.models], "has_more": bool(listing.next_page), **ends})

    def model(self, model: ListedModel) -> Body:
        """One model, as GET /v1/models/ID answers."""
        head = {"type": "model", "id": model.id, "display_name": model.name or model.id, "created_at": iso_date(model.created)}
        limits = {"max_input_tokens": model.context_window, "max_tokens": model.max_output_tokens}
        return {**head, **said(limits), **model.extra.get(NAME, {})}

    def encode_error(self, error: DragomanError) -> bytes:
        return MESSAGES.encode_error(error)


DIALECT = AnthropicModels()
