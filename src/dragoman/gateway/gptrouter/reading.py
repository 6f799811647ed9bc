"""How a Generation is read of the routes that bring one: /generate as it is, and /generate/image, an image with a question."""

from __future__ import annotations

from typing import Any

from dragoman.dialects.gptrouter.requests import Candidate, Generation, limits, read_generation, read_labels, read_object
from dragoman.dialects.openai_chat.reader import mismatch
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.face import Face

_HOSTS = {"gpt-4-vision-preview": "chat_openai", "llava": "replicate"}
"""The models that the route knew by heart. Any other is named with its provider, or by a public name of the gateway."""


async def read_plain(_: Face, exchange: Exchange) -> Generation:
    return read_generation(exchange.body)


async def read_vision(_: Face, exchange: Exchange) -> Generation:
    """`data`: {model, providerName?, imageUrl, promptParams: {prompt, ...}, chatHistory?}."""
    fields = read_object(exchange.body)
    data = fields.inner("data")
    model, image = data.need_text("model"), data.need_text("imageUrl")
    params = data.mapping("promptParams") or {}
    prompt, history = params.pop("prompt", None), data.items("chatHistory") or []
    if not isinstance(prompt, str):
        mismatch("data.promptParams.prompt", "a string", prompt)
    content: list[dict[str, Any]] = [
        {"type": "text", "text": prompt},
        {"type": "image_url", "image_url": {"url": image}},
    ]
    params = {**params, "messages": [*history, {"role": "user", "content": content}]}
    provider = data.text("providerName") or _HOSTS.get(model, "")
    candidate = Candidate(provider=provider, model=model, params=params)
    return Generation(
        candidates=(candidate,), stream=fields.flag("stream") or False, labels=read_labels(fields), **limits(fields)
    )
