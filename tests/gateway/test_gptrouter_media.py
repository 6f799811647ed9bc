"""GPTRouter's images and decisions over an upstream that says what a test tells it to: what is asked, what comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from dragoman.engine.call import CallOptions
from dragoman.gateway import config as gateway_config
from dragoman.gateway.gptrouter.routes import gptrouter_routes
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import Limits
from dragoman.gptrouter import GPTRouterClient, ImageEditRequest, ImageGenerationRequest
from dragoman.gptrouter.decisions import (
    ModelRouterSystemOneGenerationRequest,
    SystemOneChoiceQuestion,
    SystemOneGenerationParams,
    SystemOneNoulQuestion,
    SystemOneRefusalAnswer,
    SystemOneScoreQuestion,
    SystemOneTextState,
)
from dragoman.transport.gateway import gateway_transport
from support.inprocess_server import run, serving
from support.upstream import Peer, Upstream

MODELS = (("pictures", "openai/dall-e-3"), ("gpt-image-1", "openai/gpt-image-1"), ("jev-1.13.0", "typesafe/jev-1.13.0"))
MORE = (("luna", "openai/gpt-6-luna"), ("chat", "groq/chat"))


def exchanged(answer: Any, use: Callable[[GPTRouterClient], Any]) -> tuple[list[Any], Any]:
    """What the upstream was asked (path and body), and what `use` made of it."""
    asked: list[Any] = []

    async def script(peer: Peer) -> None:
        while True:
            head, body = await peer.request()
            asked.append((head.split()[1].decode(), json.loads(body)))
            told = json.dumps(answer).encode()
            await peer.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told)
            )

    async def scenario() -> Any:
        async with Upstream(script) as upstream:
            entries = [f"{{name: {n}, model: {m}, api_base: '{upstream.url}/v1', api_key: sk-up}}" for n, m in (*MODELS, *MORE)]
            _, policy = gateway_config.read(f"models: [{', '.join(entries)}]", file="t", env={})
            transport = gateway_transport({})
            pipeline = Pipeline(policy, transport, options=CallOptions())
            async with (
                serving(gptrouter_routes(pipeline), Limits()) as running,
                GPTRouterClient(f"http://127.0.0.1:{running.port}", "sk-any") as client,
                asyncio.timeout(20),
            ):
                found = await use(client)
            await transport.aclose()
            return found

    return asked, run(scenario)


def test_images_are_as_many_calls_at_once() -> None:
    request = ImageGenerationRequest(
        model_name="pictures", provider_name="dall-e", prompt="p", num_images=2, width=1024, height=512
    )
    asked, found = exchanged(
        {"created": 1, "data": [{"url": "http://x/1", "revised_prompt": "q"}]},
        lambda client: client.agenerate_images(image_generation_request=request),
    )
    assert [path for path, _ in asked] == ["/v1/images/generations"] * 2
    assert asked[0][1] == {"model": "dall-e-3", "prompt": "p", "size": "1024x512"}
    assert [image.url for image in found] == ["http://x/1"] * 2


def test_an_edit_has_address_and_base64_both() -> None:
    request = ImageEditRequest(image="aGk=", prompt="p", size=None, quality=None)
    asked, found = exchanged(
        {"created": 1, "data": [{"b64_json": "eHg="}]}, lambda client: client.aedit_image(image_edit_request=request)
    )
    assert asked[0][0] == "/v1/images/edits"
    assert (found[0].url, found[0].base64) == ("data:image/png;base64,eHg=", "eHg=")


QUESTIONS = {
    "true": SystemOneNoulQuestion(instructions="is it?", criteria={"true": "yes"}),
    "which": SystemOneChoiceQuestion(instructions="which?", options=[{"value": "a"}, {"value": "b"}]),
    "much": SystemOneScoreQuestion(instructions="how much?", levels=[{"label": "low"}, {"label": "high"}]),
    "no": SystemOneNoulQuestion(instructions="?"),
}


def deciding(model: str, provider: str) -> ModelRouterSystemOneGenerationRequest:
    return ModelRouterSystemOneGenerationRequest(
        model_name=model,
        model_provider=provider,
        prompt_params=SystemOneGenerationParams(state=SystemOneTextState(text="s"), questions=QUESTIONS),
    )


def decide(answer: Any, model: str, provider: str) -> tuple[list[Any], Any]:
    requests = [deciding(model, provider)]
    return exchanged(answer, lambda client: client.agenerate_system_one(ordered_generation_requests=requests))


def test_a_model_made_for_decisions_is_asked_in_its_own_words() -> None:
    answers = {
        "true": {"type": "noul", "noul": 0.97},
        "which": {"type": "choice", "choice": "a", "probabilities": {"a": 0.9, "b": 0.1}, "confidence": 0.9},
        "much": {"type": "score", "score": 0.4, "legend": {}, "probabilities": {"0": 0.6, "1": 0.4}, "confidence": 0.6},
        "no": {"type": "refusal"},
    }
    usage = {"input_tokens": 5, "output_tokens": 2}
    asked, found = decide({"model": "jev-1.13.0", "answers": answers, "usage": usage}, "jev-1.13.0", "typesafe")
    path, body = asked[0]
    assert (path, body["state"], body["questions"]["which"]["criteria"]) == ("/v1/systemone", "s", {"a": None, "b": None})
    assert (found.answers["true"].noul, found.answers["which"].choice) == (0.97, "a")
    assert found.answers["much"].legend == {"0": {"label": "low"}, "1": {"label": "high"}}
    assert found.answers["no"] == SystemOneRefusalAnswer()
    assert (found.meta.prompt_tokens, found.meta.total_tokens) == (5, 7)


def test_a_chat_model_guesses() -> None:
    said = {"q1": 0.5, "q2": {"choice": "a", "confidence": 0.8}, "q3": 0.5, "q4": 0.1}
    choice = {"index": 0, "message": {"role": "assistant", "content": json.dumps(said)}, "finish_reason": "stop"}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "chat", "choices": [choice]}
    asked, found = decide(answer, "chat", "groq")
    path, body = asked[0]
    assert (path, body["response_format"]["type"]) == ("/v1/chat/completions", "json_schema")
    assert (found.answers["which"].choice, found.calibrated) == ("a", False)
