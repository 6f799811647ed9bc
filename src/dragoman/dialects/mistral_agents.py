"""Agents that Mistral keeps, asked as models called "agent:ID": OpenAI's chat but for the path and for who is asked.

The agent has its own model, instructions and temperature. Called through `registry.get`.
Source: https://docs.mistral.ai/api/endpoint/deprecated/agents
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest
from dragoman.core.json import Envelope
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_chat import OpenAIChat

PREFIX = "agent:"


class MistralAgents(OpenAIChat):
    name = "mistral_agents"
    same_as = OpenAIChat.name

    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - one path for all
        return "/agents/completions"

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        encoded = super().encode_request(request)
        assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
        body = {name: value for name, value in encoded.body.items() if name != "model"}
        return encoded._replace(body={"agent_id": request.model.removeprefix(PREFIX), **body})

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:
        edited = super().edit_request(envelope, model=model.removeprefix(PREFIX), want_usage=want_usage)
        edited["agent_id"] = edited.pop("model")
        return edited


DIALECT = MistralAgents()
