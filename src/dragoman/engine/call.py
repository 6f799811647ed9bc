"""A call: one request of a client with its attempts. It settles exactly once, whatever happens.

The request is bytes in the client's dialect, whichever face made it: the gateway has them from the wire, the SDK writes
them from its arguments. Both views of the body, envelope and ChatRequest, are made when first needed and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Usage, Warning
from dragoman.core.errors import BadRequestError, CallError
from dragoman.core.http import Headers, Timeouts
from dragoman.dialects import registry
from dragoman.engine.usage import added
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Direct, Sessionlike
from dragoman.router.retry import RetryPolicy

if TYPE_CHECKING:
    from dragoman.engine.lookup import Lookup


class CallOptions(Struct, frozen=True, kw_only=True):
    """What the caller decided beside the request.

    `timeouts` are those of one attempt, but for `total`: that is for the call as a whole, with its retries, its fallbacks and
    the whole stream, and each attempt has what is left of it.
    `strict`: a parameter that would be dropped is an UnsupportedParamsError. `extra_body` is merged into the provider's
    body and `extra_headers` into its headers, as they stand. `relay`: an answer in the client's own dialect may be given
    back as the bytes that came (the gateway's fast path) instead of being decoded.
    """

    timeouts: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
    strict: bool = False
    relay: bool = False
    extra_body: dict[str, Any] = {}
    extra_headers: Headers = ()


class Attempt(Struct):
    """One try: where, when it began (the driver's clock, seconds), the error it ended in if it did.

    `reason`: "" for the first and for retries, "hedge" for one beside another, "continuation" for the rest of a stream.
    `cancelled`: another was quicker. `usage`: what is known of an attempt that did not give (all of) the answer; it is a part
    of the call's.
    """

    deployment: Deployment
    began: float
    ended: float | None = None
    error: CallError | None = None
    reason: str = ""
    cancelled: bool = False
    usage: Usage | None = None


class Settlement(Struct, frozen=True, kw_only=True):
    """How a call ended: exactly one of success, `error`, or `cancelled` by the client. `usage` may be known in each case.

    `response` is the answer in the words of `core`, as far as it came; None where its bytes were relayed unread.
    """

    usage: Usage | None = None
    response: Any = None
    error: Exception | None = None
    cancelled: bool = False


Observer = Callable[["Call"], None]
Shares = tuple[tuple[Deployment, Usage | None], ...]


class Call:
    """See the module. `model` is the name the client asked for. `session` decides who is asked; without one it is
    `deployments`, in order. `clock` is set by the flow: monotonic seconds; so is `deadline`, by that clock, where there is one.
    Of `attempts` the last one is who answered, or failed last.

    `content_type` is that of `body`, where it is no JSON (a form with files). `lookup`: what it has to do with a cache.
    `asked`: the model that the client has asked for, where `model` stands in for it; `alias`: by what name of its own.
    `notes`: warnings of what was changed before the call was prepared; `warnings` are all. `marks`: what guardrails have
    noted. `priced`: memory of `engine.price`. `headers`: what whoever let it in wants told with the answer.
    """

    __slots__ = (
        "_envelope",
        "_request",
        "alias",
        "asked",
        "attempts",
        "body",
        "clock",
        "content_type",
        "deadline",
        "deployments",
        "dialect",
        "headers",
        "lookup",
        "marks",
        "model",
        "notes",
        "observers",
        "operation",
        "options",
        "priced",
        "rng",
        "session",
        "settlement",
        "stream",
        "warnings",
    )

    def __init__(
        self,
        *,
        operation: str,
        dialect: str,
        model: str,
        body: bytes,
        deployments: tuple[Deployment, ...],
        content_type: str = "application/json",
        stream: bool = False,
        options: CallOptions | None = None,
        envelope: json.Envelope | None = None,
        rng: Random | None = None,
        observers: tuple[Observer, ...] = (),
        session: Sessionlike | None = None,
        alias: str = "",
    ) -> None:
        self.operation = operation
        self.dialect = dialect
        self.model = model
        self.body = body
        self.content_type = content_type
        self.deployments = deployments
        self.stream = stream
        self.options = options or _DEFAULT_OPTIONS
        self.rng = rng or _RANDOM
        self.observers = observers
        self.session = session
        self.clock: Callable[[], float] | None = None
        self.deadline: float | None = None
        self.attempts: list[Attempt] = []
        self.warnings: tuple[Warning, ...] = ()
        self.notes: tuple[Warning, ...] = ()
        self.asked = ""
        self.alias = alias
        self.settlement: Settlement | None = None
        self.priced: Any = None
        self.lookup: Lookup | None = None
        self.marks: tuple[str, ...] = ()
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self._envelope = envelope
        self._request: Any = None

    @property
    def envelope(self) -> json.Envelope:
        """The body split at its top level. Raises BadRequestError when it is not a JSON object."""
        if self._envelope is None:
            try:
                self._envelope = json.decode_envelope(self.body)
            except json.DecodeError as problem:
                raise BadRequestError(f"the request body is not a JSON object: {problem}") from None
        return self._envelope

    @property
    def request(self) -> Any:
        """The body in the vocabulary of `core`. Raises BadRequestError that names the path."""
        if self._request is None:
            decode = registry.get(self.dialect).decode_request
            self._request = decode(self.body) if self.in_json else decode(self.body, self.content_type)
        return self._request

    @property
    def in_json(self) -> bool:
        """Whether the body is JSON, and no form."""
        return self.content_type == "application/json"

    @property
    def kept(self) -> bool:
        """Whether the answer is one that was kept: nobody was asked, and nothing is to pay."""
        return self.lookup is not None and self.lookup.status == "hit"

    def settle(self, settlement: Settlement) -> None:
        """Record how it ended, and tell the router's session and the observers. Only the first settlement counts."""
        if self.settlement is None:
            self.settlement = settlement
            if type(self.session) is not Direct:
                self._tell(settlement)
            for observe in self.observers:
                observe(self)

    def watch(self, observer: Observer) -> None:
        """`observer` is told once, when the call settles. It must not raise."""
        self.observers += (observer,)

    def _tell(self, settlement: Settlement) -> None:
        session, clock = self.session, self.clock
        if session is None or clock is None:
            return
        usage = settlement.usage
        if settlement.error is not None:
            session.failed(settlement.error, clock())
        elif settlement.cancelled:
            session.cancelled(clock())
        elif usage is None:
            session.succeeded(clock())
        else:
            session.succeeded(clock(), input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)

    def sum(self, usage: Usage | None) -> Usage | None:
        """`usage` together with that of attempts whose answers nobody got."""
        for attempt in self.attempts:
            usage = added(attempt.usage, usage)
        return usage

    def note(self, *notes: Warning) -> None:
        """Tell the client of what was changed before the call is prepared."""
        self.notes += notes
        self.warnings += notes

    def rewrite(self, request: Any) -> None:
        """Ask this from here on: `request` is in the vocabulary of `core`, and written as a body of the call's own dialect."""
        body, lost, self.content_type = registry.get(self.dialect).encode_request(request)
        self.body = body if isinstance(body, bytes) else json.encode(body)
        self.note(*lost)
        self._envelope, self._request = None, request

    @property
    def shares(self) -> Shares:
        """Who gave parts of the answer and what each used; who gave the last one used the rest. There was an attempt."""
        *others, last = self.attempts
        return (*((other.deployment, other.usage) for other in others if other.usage is not None), (last.deployment, None))

    def reworded(self, envelope: json.Envelope) -> Call:
        """The same call with another body, to be prepared for one deployment."""
        return Call(
            operation=self.operation,
            dialect=self.dialect,
            model=self.model,
            body=json.encode(envelope),
            deployments=self.deployments,
            stream=self.stream,
            options=self.options,
            envelope=envelope,
        )


_DEFAULT_OPTIONS = CallOptions()
_RANDOM = Random()  # noqa: S311 - jitter, not a secret
