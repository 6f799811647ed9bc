"""The guard that asks a service over HTTP: the texts go there as JSON, and its verdict comes back.

    POST URL   {"guardrail", "stage": "before" | "during" | "after", "model", "operation", "texts": [{"role", "text"}, ...]}
    200        {"action": "pass" | "block" | "flag" | "mask", "reason": "...", "texts": ["...", ...]}

`texts` comes back with `mask` alone, as many as were sent. Anything else is no verdict. Only the configured URL is asked, and
a redirect is not followed.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.http import HttpResponse
from dragoman.gateway.guardrails.base import Asked, Guard, Stage, Terms, rejected
from dragoman.gateway.guardrails.span_guard import without_tokens
from dragoman.gateway.guardrails.texts import edited, texts


class Verdict(Struct, frozen=True, kw_only=True):
    action: Literal["pass", "block", "flag", "mask"]
    reason: str = ""
    texts: tuple[str, ...] | None = None


_read = msgspec.json.Decoder(Verdict).decode


class CalloutGuard(Guard):
    """`url` and `headers` are the configuration's, `seconds` is the time that the service has."""

    def __init__(self, terms: Terms, *, url: str, headers: dict[str, str], seconds: float) -> None:
        super().__init__(terms)
        self._url = url
        self._headers = headers
        self._seconds = seconds

    async def request(self, request: Any, asked: Asked, stage: Stage) -> Any:
        return await self._judged(request, stage, "request", asked)

    async def response(self, response: Any, asked: Asked) -> Any:
        made = await self._judged(response, "after", "answer", asked)
        return made if made is response else without_tokens(made)

    async def _judged(self, value: Any, stage: Stage, where: str, asked: Asked) -> Any:
        found = texts(value)
        if not found:
            return value
        body = {
            "guardrail": self.terms.name,
            "stage": stage,
            "model": asked.call.model,
            "operation": asked.call.operation,
            "texts": [{"role": text.role, "text": text.text} for text in found],
        }
        verdict = _verdict(await asked.services.post(self._url, body, self._headers, seconds=self._seconds))
        reason = verdict.reason[:300] or "the service gives no reason"
        if verdict.action == "block":
            raise rejected(self.terms, where, reason)
        if verdict.action == "flag":
            asked.mark(self.terms, reason)
        if verdict.action != "mask":
            return value
        if stage == "during":
            raise ValueError("the service masks a request that is on its way")
        if verdict.texts is None or len(verdict.texts) != len(found):
            raise ValueError(f"the service was to give back {len(found)} texts")
        asked.changed(self.terms, where, reason)
        written = iter(verdict.texts)
        return edited(value, lambda _: next(written))


def _verdict(response: HttpResponse) -> Verdict:
    """Raises ValueError for an answer that is no verdict."""
    if response.status != 200:
        raise ValueError(f"the service answered {response.status}")
    try:
        return _read(response.body)
    except json.UNREADABLE as problem:
        raise ValueError(f"the service's answer is no verdict: {problem}") from None
