"""`CustomLogger`: the class that LiteLLM's programs derive their hooks from. It does nothing; override what you want to know.

    class Mine(CustomLogger):
        def log_success_event(self, kwargs, response_obj, start_time, end_time): ...

    dragoman.callbacks = [Mine()]

Hooks observe: what they change in their arguments changes nothing else. `client.callbacks` calls them, and says when.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any


class CustomLogger:
    """The methods with `async_` are awaited beside the calls of an event loop, the others are called in those of threads."""

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        """A call is about to be made."""

    def log_post_api_call(self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime) -> None:
        """A call is over, well or not; comes before its success or failure."""

    def log_stream_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime) -> None:
        """A chunk is on its way to the caller."""

    def log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime) -> None:
        """A call has its answer; of a stream the assembled one, at its end."""

    def log_failure_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime) -> None:
        """A call has failed: `kwargs["exception"]`."""

    async def async_log_stream_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """As `log_stream_event`."""

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """As `log_success_event`."""

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """As `log_failure_event`."""
