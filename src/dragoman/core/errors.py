"""Every error that Dragoman raises, and the one table from HTTP status to class.

    DragomanError
      ConfigurationError             unknown provider, bad config file, an extra that is not installed
      CallError                      anything that went wrong with one call
        APIConnectionError           no usable response came
          Timeout                    a deadline passed: connect, first_token, idle or total
        APIStatusError               the provider answered with a failure
          BadRequestError 400
            ContextWindowExceededError, ContentPolicyViolationError, UnsupportedParamsError
          AuthenticationError 401    PaymentRequiredError 402       PermissionDeniedError 403
          NotFoundError 404          ConflictError 409              RequestTooLargeError 413
          UnprocessableEntityError 422   RateLimitError 429         InternalServerError 500, 424
          BadGatewayError 502        ServiceUnavailableError 503, 529
        StreamInterruptedError       the stream broke after its first event
        ResponseDecodeError          the provider's answer makes no sense
      NoDeploymentError              nobody could be asked; carries the reasons
      GatewayError                   the gateway's own refusals
        InvalidKeyError, BudgetExceededError, RateLimitExceededError, GuardrailRejectedError

The names are those of the OpenAI client; the attributes are those that LiteLLM users read (`status_code`, `llm_provider`,
`model`, `message`). A message says what happened and what to do next, and never holds a credential.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct


class DragomanError(Exception):
    """Root of the tree. `message` is for people; `status_code` is what a gateway answers with."""

    status_code: int = 500
    type: ClassVar[str] = "api_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigurationError(DragomanError):
    """Dragoman was told something that cannot work. Names the file, line and key, the provider or the variable."""

    type = "configuration_error"


class CallError(DragomanError):
    """One call failed. `attempts` counts the requests that were sent; `retryable` tells whether asking again may help."""

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        llm_provider: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.llm_provider = llm_provider
        self.model = model
        self.request_id = request_id
        self.attempts = attempts
        self.deployment: str | None = None

    @property
    def provider(self) -> str | None:
        return self.llm_provider


class APIConnectionError(CallError):
    """No usable response: DNS, refused, reset, TLS, or the peer closed early."""

    status_code = 502
    type = "api_connection_error"
    retryable = True


class Timeout(APIConnectionError):  # noqa: N818 - the name that OpenAI and LiteLLM users know
    """A deadline passed; `phase` is connect, first_token, idle or total."""

    status_code = 504
    type = "timeout"

    def __init__(self, message: str, *, phase: str = "total", **context: Any) -> None:
        super().__init__(message, **context)
        self.phase = phase


class ErrorDetail(Struct, frozen=True, kw_only=True):
    """What a provider's error body says, whatever its shape. `retry_after` is in seconds, for bodies that carry it."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None


class APIStatusError(CallError):
    """The provider answered with a failure. `body` is its answer as text; `retry_after` is in seconds."""

    type = "api_error"

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        body: str = "",
        retry_after: float | None = None,
        detail: ErrorDetail | None = None,
        headers: dict[str, str] | None = None,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        if status_code is not None:
            self.status_code = status_code
        self.body = body
        self.retry_after = retry_after
        self.detail = detail
        self.headers = headers or {}
        self.code = detail.code if detail else None
        self.param = detail.param if detail else None


class BadRequestError(APIStatusError):
    status_code = 400
    type = "invalid_request_error"


class ContextWindowExceededError(BadRequestError):
    """The prompt is longer than the model takes."""


class ContentPolicyViolationError(BadRequestError):
    """The provider refused the content."""


class UnsupportedParamsError(BadRequestError):
    """A parameter that this provider or model does not take, under a policy that forbids dropping it."""


class AuthenticationError(APIStatusError):
    status_code = 401
    type = "authentication_error"


class PaymentRequiredError(APIStatusError):
    status_code = 402
    type = "insufficient_quota"


class PermissionDeniedError(APIStatusError):
    status_code = 403
    type = "permission_error"


class NotFoundError(APIStatusError):
    status_code = 404
    type = "not_found_error"


class ConflictError(APIStatusError):
    status_code = 409
    type = "conflict_error"
    retryable = True


class RequestTooLargeError(APIStatusError):
    status_code = 413
    type = "request_too_large"


class UnprocessableEntityError(APIStatusError):
    status_code = 422
    type = "invalid_request_error"


class RateLimitError(APIStatusError):
    status_code = 429
    type = "rate_limit_error"
    retryable = True


class InternalServerError(APIStatusError):
    status_code = 500
    type = "api_error"
    retryable = True


class BadGatewayError(APIStatusError):
    status_code = 502
    type = "api_error"
    retryable = True


class ServiceUnavailableError(APIStatusError):
    status_code = 503
    type = "overloaded_error"
    retryable = True


class StreamInterruptedError(CallError):
    """The stream broke after its first event. `partial` is the ChatResponse of what had come by then."""

    status_code = 502
    type = "stream_interrupted"

    def __init__(self, message: str, *, partial: Any = None, code: str | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.partial = partial
        self.code = code


class ResponseDecodeError(CallError):
    """The provider answered 200 with something that its dialect does not allow. `body` is the beginning of it."""

    status_code = 502
    type = "api_error"
    retryable = True

    def __init__(self, message: str, *, body: str = "", **context: Any) -> None:
        super().__init__(message, **context)
        self.body = body


class NoDeploymentError(DragomanError):
    """No deployment could be asked. `drops` are the plan's reasons; `retry_after` the soonest time in seconds."""

    status_code = 503
    type = "no_deployment"

    def __init__(self, message: str, *, drops: tuple[Any, ...] = (), retry_after: float | None = None) -> None:
        super().__init__(message)
        self.drops = drops
        self.retry_after = retry_after


class GatewayError(DragomanError):
    """The gateway itself refuses. `retry_after` is in seconds, None where waiting is of no use or nobody knows how long.
    `limits`: the `x-ratelimit-*` headers of who asked, as an answer would have them.
    """

    status_code = 400
    type = "invalid_request_error"

    def __init__(self, message: str, *, retry_after: float | None = None, limits: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.limits = limits


class InvalidKeyError(GatewayError):
    status_code = 401
    type = "authentication_error"


class BudgetExceededError(GatewayError):
    status_code = 402
    type = "budget_exceeded"


class RateLimitExceededError(GatewayError):
    status_code = 429
    type = "rate_limit_error"


class GuardrailRejectedError(GatewayError):
    type = "guardrail_rejected"


STATUS_CLASSES: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: RequestTooLargeError,
    422: UnprocessableEntityError,
    424: InternalServerError,
    429: RateLimitError,
    500: InternalServerError,
    502: BadGatewayError,
    503: ServiceUnavailableError,
    529: ServiceUnavailableError,
}
"""The one status table. A status that is not in it is an InternalServerError from 500 up, a BadRequestError below;
the original status is always kept in `status_code`. 408 and 504 are Timeouts, which `error_for` makes. 424 is how Bedrock says
that the model itself failed (ModelErrorException): nothing the caller did, and worth another try."""

CONTEXT_WINDOW_CODES = frozenset(
    {
        "context_length_exceeded",
        "exceed_context_size_error",
        "model_max_prompt_tokens_exceeded",
        "string_above_max_length",
        "too_many_prompt_tokens",
    }
)
CONTEXT_WINDOW_PHRASES = (
    "maximum context length",
    "max context length",
    "exceeds context limit",
    "exceed context limit",
    "exceeds the available context size",
    "input is too long",
    "prompt is too long",
    "inputs tokens + max_new_tokens",
    "too many tokens",
    "expected maxlength",
    "exceeds the maximum number of tokens allowed",
    "length limit exceeded",
    "context window",
    "reduce the length of the messages",
)
CONTENT_POLICY_CODES = frozenset({"content_policy_violation", "content_filter", "responsibleaipolicyviolation"})
CONTENT_POLICY_PHRASES = (
    "content management policy",
    "content filtering policy",
    "safety system",
    "the response was blocked",
)
"""Signals in error bodies, lower case. Sources: the vendors' error references and contracts measured on recorded traffic."""


def refine(status: int, detail: ErrorDetail) -> type[APIStatusError]:
    """The class for a failure: the status decides, the body refines 400, 413 and 422 to two kinds and nothing else."""
    found = STATUS_CLASSES.get(status) or (InternalServerError if status >= 500 else BadRequestError)
    if status not in (400, 413, 422):
        return found
    text, codes = detail.message.lower().replace("`", ""), {(detail.code or "").lower(), (detail.type or "").lower()}
    if codes & CONTEXT_WINDOW_CODES or any(phrase in text for phrase in CONTEXT_WINDOW_PHRASES):
        return ContextWindowExceededError
    if codes & CONTENT_POLICY_CODES or any(phrase in text for phrase in CONTENT_POLICY_PHRASES):
        return ContentPolicyViolationError
    return found


def error_for(status: int, detail: ErrorDetail, **context: Any) -> CallError:
    """The exception for a provider's failure. `context` is what CallError and APIStatusError take beyond the status."""
    message = f"{context.get('llm_provider') or 'provider'} answered {status}: {detail.message}"
    if status in (408, 504):
        allowed = ("llm_provider", "model", "request_id", "attempts")
        return Timeout(message, phase="total", **{key: context[key] for key in allowed if key in context})
    return refine(status, detail)(message, status_code=status, detail=detail, **context)
