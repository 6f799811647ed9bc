"""The governance of a running gateway: begun with the server, ended with it, and its admin API. Without a configuration of it
nothing here is imported or done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import Route

    from dragoman.gateway.config import Config
    from dragoman.gateway.pipeline import Pipeline


class Governed:
    """`start` and `stop` are called once, on the server's loop; `routes` in between."""

    def __init__(self, config: Config, pipeline: Pipeline) -> None:
        self._config = config
        self._pipeline = pipeline
        self._shipping: Any = None

    async def start(self) -> None:
        """Raises ConfigurationError and ServiceUnavailableError, when the database cannot be had."""
        entry = self._config.governance
        if entry is None:
            return
        from dragoman.gateway.admission import Admission  # noqa: PLC0415 - who has no keys does not pay for them
        from dragoman.gateway.governance.governance import Policy  # noqa: PLC0415 - as above
        from dragoman.gateway.store.shipping import begin  # noqa: PLC0415 - as above

        governance, self._shipping = await begin(
            database=entry.database,
            journal=Path(entry.journal),
            master_key=self._config.server.api_key,
            policy=Policy(unpriced=entry.unpriced),
        )
        self._pipeline.admission = Admission(governance)

    async def stop(self) -> None:
        """The last rows go out."""
        if self._shipping is not None:
            await self._shipping.stop()

    def routes(self) -> Iterable[Route]:
        """The admin API."""
        if self._pipeline.admission is None:
            return ()
        from dragoman.gateway.admin import routes  # noqa: PLC0415 - as above
        from dragoman.gateway.admin.desk import Desk  # noqa: PLC0415 - as above

        return routes(Desk(self._pipeline.admission.governance, self._shipping))
