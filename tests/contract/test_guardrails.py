"""Guardrails and the pass-through of a real gateway, with the vendors' own clients."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from support.demo_server import demo_server
from support.gateway import RunningGateway, gateway

KEY = "sk-the-gateways-key"
SAID = "my card is 4111 1111 1111 1111, my mail jane@example.com, and that is all that there is to say"
SEEN = "my card is [CARD], my mail [EMAIL], and that is all that there is to say"
CONFIG = """
models:
  - {{name: echo, model: openai/echo, api_base: '{url}/v1', api_key: sk-upstream}}
  - {{name: claude, model: anthropic/echo, api_base: '{url}', api_key: sk-upstream}}
server: {{api_key: sk-the-gateways-key}}
guardrails:
  - {{name: pii, use: pii, stage: after, action: mask}}
  - {{name: words, use: regex, patterns: {{swearing: damned}}}}
passthrough:
  unguarded: true
  providers:
    - {{name: openai, api_base: '{url}/v1', api_key: sk-upstream}}
    - {{name: anthropic, api_base: '{url}', api_key: sk-upstream}}
"""


@pytest.fixture(scope="module")
def served() -> Iterator[RunningGateway]:
    with demo_server() as demo, gateway(CONFIG.format(url=demo.url)) as running:
        yield running


def chat(client: openai.OpenAI, model: str, text: str, *, stream: bool) -> str:
    messages = [{"role": "user", "content": text}]
    if not stream:
        return client.chat.completions.create(model=model, messages=messages).choices[0].message.content or ""
    chunks = client.chat.completions.create(model=model, messages=messages, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["echo", "claude"])
def test_openais_client_gets_masked_answers(served: RunningGateway, model: str, stream: bool) -> None:
    with openai.OpenAI(base_url=served.openai_url, api_key=KEY, max_retries=0) as client:
        assert chat(client, model, SAID, stream=stream) == SEEN
        with pytest.raises(
            openai.BadRequestError, match="the guardrail 'words' rejected the request: it holds swearing"
        ) as refused:
            chat(client, model, "damned", stream=stream)
        assert refused.value.code == "guardrail_rejected"


@pytest.mark.parametrize("model", ["echo", "claude"])
def test_anthropics_client_gets_masked_answers(served: RunningGateway, model: str) -> None:
    with anthropic.Anthropic(base_url=served.url, api_key=KEY, max_retries=0) as client:
        messages = [{"role": "user", "content": SAID}]
        with client.messages.stream(model=model, max_tokens=200, messages=messages) as stream:
            assert stream.get_final_text() == SEEN
        with pytest.raises(anthropic.BadRequestError, match="it holds swearing"):
            client.messages.create(model=model, max_tokens=9, messages=[{"role": "user", "content": "damned"}])


@pytest.mark.parametrize("stream", [False, True])
def test_both_clients_pass_through_as_if_they_asked_the_provider(served: RunningGateway, stream: bool) -> None:
    with openai.OpenAI(base_url=f"{served.url}/openai/v1", api_key=KEY, max_retries=0) as client:
        assert chat(client, "echo", SAID, stream=stream) == SAID
    with anthropic.Anthropic(base_url=f"{served.url}/passthrough/anthropic", api_key=KEY, max_retries=0) as client:
        messages = [{"role": "user", "content": "hello"}]
        if stream:
            with client.messages.stream(model="echo", max_tokens=9, messages=messages) as streamed:
                assert streamed.get_final_text() == "hello"
        else:
            assert client.messages.create(model="echo", max_tokens=9, messages=messages).content[0].text == "hello"
    with (
        openai.OpenAI(base_url=f"{served.url}/openai/v1", api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()
