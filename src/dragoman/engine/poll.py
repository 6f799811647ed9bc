"""Answers that are created first and asked for until they are there: the loop around a dialect's `poll`. Called by the flow.

The key belongs to the host it was given for: where a provider names an address on another host to ask at, the request goes
there without it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from urllib.parse import urljoin, urlsplit

from dragoman.core.http import HttpRequest, HttpResponse, Timeouts, TransportFailure
from dragoman.dialects.base import Poll
from dragoman.engine.prepare import Prepared
from dragoman.engine.steps import Authorize, Send, Sleep, Step
from dragoman.providers.credentials import origin

LONGEST = 600.0
"""Seconds of waiting, where the caller sets no total timeout."""


def until_there(
    response: HttpResponse, prepared: Prepared, request: HttpRequest, timeouts: Timeouts
) -> Generator[Step, Any, HttpResponse]:
    """The final response to what `request` created. Raises TransportFailure (total) when the wait gets too long."""
    url = request.url
    waited, allowed = 0.0, LONGEST if timeouts.total is None else timeouts.total
    while response.status < 300 and (poll := prepared.dialect.poll(response)) is not None:
        waited += poll.wait
        if waited > allowed:
            raise TransportFailure("total", f"the answer was not there after {allowed:g} s")
        yield Sleep(poll.wait)
        following = asking(poll, request, prepared, url)
        url = following.url
        if not prepared.authorized:
            following = yield Authorize(following, prepared.deployment.target)
        response = yield Send(following, timeouts)
    return response


def asking(poll: Poll, request: HttpRequest, prepared: Prepared, before: str) -> HttpRequest:
    """The request that asks for the answer, there or where it was asked `before`.

    It has the headers of the first, its credentials only on hosts they belong to.
    """
    target = prepared.deployment.target
    url = urljoin(prepared.base_url + "/", poll.url) if poll.url else before
    headers = tuple(pair for pair in request.headers if pair[0] not in _OF_THE_BODY)
    if origin(url) not in {origin(target.base_url), *(origin(f"https://{host}") for host in target.provider.hosts)}:
        headers = tuple(pair for pair in headers if pair[0] in _HARMLESS)
    if urlsplit(url).scheme not in {"http", "https"}:
        raise TransportFailure("protocol", f"the provider names an address that is no URL: {poll.url[:80]}")
    return HttpRequest(method=poll.method, url=url, headers=headers)


_OF_THE_BODY = frozenset({"content-type", "content-length"})
_HARMLESS = frozenset({"accept", "user-agent"})
