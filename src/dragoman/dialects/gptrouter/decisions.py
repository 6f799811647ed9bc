"""The dialect `gptrouter_decisions`: GPTRouter's parameters of system-one with the model beside them, and its form of answers.

The half in which we are the server, for the engine to read a request by. What the words mean is `systemone`'s to know.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.operations import DecisionRequest, DecisionResponse
from dragoman.dialects.chat_decisions import Carried
from dragoman.dialects.decisions_wire import matched
from dragoman.dialects.gptrouter.answers import Source, meta
from dragoman.dialects.gptrouter.errors import encode_error
from dragoman.dialects.operation_wire import read_fields
from dragoman.dialects.systemone import read_prompt
from dragoman.dialects.systemone_questions import write_answers

NAME = "gptrouter_decisions"


class GPTRouterDecisions(Carried):
    name = NAME
    encode_error = staticmethod(encode_error)

    def decode_request(self, body: bytes) -> DecisionRequest:
        """{model, state, questions}. Raises BadRequestError."""
        fields = read_fields(body)
        model = fields.need_text("model")
        return read_prompt(fields.rest(), model, "promptParams")

    def encode_response(self, response: DecisionResponse, *, now: int) -> bytes:  # noqa: ARG002 - the verb's signature
        return json.encode(write(response, Source(model=response.model)))


DIALECT = GPTRouterDecisions()


def write(response: DecisionResponse, source: Source, request: DecisionRequest | None = None) -> dict[str, Any]:
    """The answer; with `request` every answer under its name, and of the kind that was asked for."""
    fitted = response if request is None else matched(response, request)
    body: dict[str, Any] = {
        "model": fitted.model or source.model,
        "answers": write_answers(fitted.answers, labelled=True),
        **source.ids(),
        "meta": meta(fitted.usage, source, fitted.warnings),
    }
    if source.cost is not None:
        body["cost"] = source.cost
    return body if fitted.calibrated else {**body, "calibrated": False}
