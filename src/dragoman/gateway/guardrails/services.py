"""What guards may ask others for: a model of this gateway, and the one address that their configuration names.

The calls they make are calls like any other, told to the gateway's observers, but on nobody's key. Nothing here is reachable
from what a client writes: models and addresses are the configuration's.
"""

from __future__ import annotations

import time
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.http import HttpRequest, HttpResponse, Timeouts
from dragoman.engine.call import Call, CallOptions
from dragoman.engine.drive import adrive
from dragoman.engine.flow import answer
from dragoman.engine.request_facts import request_facts

if TYPE_CHECKING:
    from dragoman.gateway.pipeline import Pipeline

JSON = (("content-type", "application/json"),)


class Services:
    """`pipeline` is the gateway's, `options` those of its calls."""

    def __init__(self, pipeline: Pipeline, options: CallOptions) -> None:
        self.transport = pipeline.transport
        self._pipeline = pipeline
        self._options = options
        self._rng = Random()  # noqa: S311 - which deployment is asked is no secret

    def check(self, model: str) -> None:
        """Raises a DragomanError when there is no such model here."""
        self._pipeline.policy.group(model)

    async def ask(self, operation: str, dialect: str, body: dict[str, Any], *, seconds: float) -> Any:
        """The decoded answer of the model that `body` names. Raises a DragomanError."""
        pipeline, policy, model = self._pipeline, self._pipeline.policy, body["model"]
        group = policy.group(model)
        session, deployments = None, group.alone
        if deployments is None:
            envelope = {name: json.raw(value) for name, value in body.items()}
            facts = request_facts(envelope, model, stream=False, session=None, tagged=False)
            session, deployments = policy.begin(facts, self._rng), (group.nodes[0].deployment,)
        options = replace(self._options, timeouts=replace(self._options.timeouts, total=seconds))
        call = Call(
            operation=operation,
            dialect=dialect,
            model=model,
            body=json.encode(body),
            deployments=deployments,
            session=session,
            options=options,
            observers=pipeline.observers,
        )
        return (await adrive(answer(call, perf_counter, time.time), self.transport)).response

    async def post(self, url: str, value: Any, headers: dict[str, str], *, seconds: float) -> HttpResponse:
        """Redirects are not followed. Raises TransportFailure."""
        names = tuple((name.lower(), text) for name, text in headers.items())
        request = HttpRequest(method="POST", url=url, headers=JSON + names, body=json.encode(value))
        limits = Timeouts(connect=seconds, first_token=seconds, idle=seconds, total=seconds)
        response: HttpResponse = await self.transport.send(request, limits)
        return response
