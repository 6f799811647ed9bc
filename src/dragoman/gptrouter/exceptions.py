"""What a call may end in, by the names of the official client, under one root.

    GPTRouterError                        `message`, `status_code`, `body` (decoded), `attempts`
      GPTRouterBadRequestError 400        also 404, 409, 413, 422
      GPTRouterUnauthorizedError 401      GPTRouterForbiddenError 403
      GPTRouterNotAvailableError 503      also 406, 502, 529
        GPTRouterConnectionError          no answer came: nobody listens, or the connection broke
      GPTRouterTooManyRequestsError 429   `retry_after` in seconds
      GPTRouterInternalServerError 500
      GPTRouterApiTimeoutError            no answer in time; also 408, 504
      GPTRouterStreamingError             the stream says that it failed, or it broke

The first argument is the decoded body of the answer, as programs written for that client expect it.
"""

from __future__ import annotations

from typing import Any


class GPTRouterError(Exception):
    """The root."""

    def __init__(self, body: Any = None, *, status_code: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(body)
        self.body = body
        self.status_code = status_code
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        held = self.body
        if isinstance(held, dict):
            held = held.get("message") or held.get("error")
        return held if isinstance(held, str) else str(self.body)

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Who was asked, and how each attempt ended, as far as the server tells."""
        held = self.body if isinstance(self.body, dict) else {}
        for place in ("error", "data"):
            told = held.get(place)
            if isinstance(told, dict) and isinstance(told.get("attempts"), list):
                return list(told["attempts"])
        return []


class GPTRouterBadRequestError(GPTRouterError): ...


class GPTRouterUnauthorizedError(GPTRouterError): ...


class GPTRouterForbiddenError(GPTRouterError): ...


class GPTRouterNotAvailableError(GPTRouterError): ...


class GPTRouterConnectionError(GPTRouterNotAvailableError): ...


class GPTRouterTooManyRequestsError(GPTRouterError): ...


class GPTRouterInternalServerError(GPTRouterError): ...


class GPTRouterApiTimeoutError(GPTRouterError): ...


class GPTRouterStreamingError(GPTRouterError):
    """`text` is what had come by then."""

    text: str = ""

    def __str__(self) -> str:
        return self.message


BY_STATUS: dict[int, type[GPTRouterError]] = {
    400: GPTRouterBadRequestError,
    401: GPTRouterUnauthorizedError,
    403: GPTRouterForbiddenError,
    404: GPTRouterBadRequestError,
    406: GPTRouterNotAvailableError,
    408: GPTRouterApiTimeoutError,
    409: GPTRouterBadRequestError,
    413: GPTRouterBadRequestError,
    422: GPTRouterBadRequestError,
    429: GPTRouterTooManyRequestsError,
    500: GPTRouterInternalServerError,
    502: GPTRouterNotAvailableError,
    503: GPTRouterNotAvailableError,
    504: GPTRouterApiTimeoutError,
    529: GPTRouterNotAvailableError,
}


def for_status(status: int, body: Any, retry_after: float | None) -> GPTRouterError:
    found = BY_STATUS.get(status) or (GPTRouterInternalServerError if status >= 500 else GPTRouterError)
    return found(body, status_code=status, retry_after=retry_after)
