"""Models as OpenAI lists them (GET /models), both halves. Others add what they know of a model: names, windows, limits.

What is known beyond OpenAI's four fields is written as OpenRouter and its like write it, for clients that look for it.
Source: https://platform.openai.com/docs/api-reference/models/list
"""

from __future__ import annotations

from dragoman.core import json
from dragoman.core.operations import ListedModel, ModelListing
from dragoman.dialects.model_lists import ModelList, read_items, read_model
from dragoman.dialects.operation_wire import Body, said

NAME = "openai_models"


class OpenAIModels(ModelList):
    name = NAME

    def page(self, cursor: str | None) -> str:  # noqa: ARG002 - there is one page
        return "/models"

    def decode_response(self, body: bytes) -> ModelListing:
        """Raises ResponseDecodeError for what has no id."""
        items, _ = read_items(body, "data")
        return ModelListing(models=tuple(read_model(item, place, NAME, "id") for place, item in enumerate(items)))

    def encode_response(self, listing: ModelListing, *, now: int) -> bytes:
        """`now` (Unix seconds) stands for the creation of models that have none."""
        return json.encode({"object": "list", "data": [self.model(model, now=now) for model in listing.models]})

    def model(self, model: ListedModel, *, now: int) -> Body:
        """One model, as GET /models/ID answers."""
        beyond = {
            "name": model.name,
            "description": model.description,
            "context_length": model.context_window,
            "max_completion_tokens": model.max_output_tokens,
        }
        created = now if model.created is None else model.created
        head = {"id": model.id, "object": "model", "created": created, "owned_by": model.owned_by or "dragoman"}
        return {**head, **said(beyond), **model.extra.get(NAME, {})}


DIALECT = OpenAIModels()
