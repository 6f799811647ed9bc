"""What a running gateway has beside its requests: its governance, and what it shares with other workers. Begun with the server,
ended with it. Without a configuration of either nothing here is imported or done.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.routing import Route

    from dragoman.gateway.config import Config, GovernanceEntry
    from dragoman.gateway.governance.budgets import Alert
    from dragoman.gateway.governance.facts import Prices
    from dragoman.gateway.pipeline import Pipeline
    from dragoman.gateway.stored.serving import StoredModels
    from dragoman.router.deployment import Deployment
    from dragoman.shared.sharing import Sharing

logger = logging.getLogger("dragoman.gateway")


class Governed:
    """`start` and `stop` are called once, on the server's loop; `routes` in between. `alerted`: who else hears of budgets that
    pass their thresholds, beside the log. `relisted`: who hears that models of the database are served now, with their secrets.
    """

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        *,
        alerted: Callable[[Alert], None] | None = None,
        relisted: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._alerted = alerted
        self._relisted = relisted
        self._stored: StoredModels | None = None
        self._sharing: Sharing | None = None
        self._shipping: Any = None

    async def start(self) -> None:
        """Raises ConfigurationError and ServiceUnavailableError, when the database cannot be had."""
        if self._config.shared is not None:
            from dragoman.shared.sharing import Sharing  # noqa: PLC0415 - who is alone does not pay for it

            shared = self._config.shared
            workers = self._config.server.workers
            self._sharing = Sharing(shared.url, shared.prefix, self._pipeline.policy, workers=workers)
            self._pipeline.observers += (self._sharing.observe,)
            await self._sharing.start()
        if self._config.governance is not None:
            await self._govern(self._config.governance)

    async def _govern(self, entry: GovernanceEntry) -> None:
        from dragoman.gateway.admission import Admission  # noqa: PLC0415 - who has no keys does not pay for them
        from dragoman.gateway.governance.facts import Prices  # noqa: PLC0415 - as above
        from dragoman.gateway.governance.governance import Policy  # noqa: PLC0415 - as above
        from dragoman.gateway.store.shipping import begin  # noqa: PLC0415 - as above

        sharing = self._sharing
        governance, self._shipping = await begin(
            database=entry.database,
            journal=Path(entry.journal),
            master_key=self._config.server.api_key,
            policy=Policy(
                unpriced=entry.unpriced,
                end_users=entry.end_users,
                thrift=entry.cheaper_models.thrift() if entry.cheaper_models else None,
            ),
            worker=sharing.worker if sharing else None,
            leases=sharing.leases if sharing else None,
            alerted=self._alerted,
        )
        governance.prices = prices = Prices(self._deployments)
        await self._check_template(entry)
        if entry.oidc is not None:
            try:
                from dragoman.gateway.oidc import Tokens, fetch  # noqa: PLC0415 - as above
            except ModuleNotFoundError as missing:
                raise ConfigurationError(f"governance.oidc: it needs {missing.name}: pip install 'dragoman[oidc]'") from None

            governance.tokens = Tokens(entry.oidc, fetch)
        try:
            await self._store_models(entry, prices)
        except BaseException:
            await self._shipping.stop()
            raise
        self._pipeline.admission = Admission(governance)

    async def _check_template(self, entry: GovernanceEntry) -> None:
        """It may be made later, so it is no error."""
        from dragoman.gateway.governance.scopes import Reference  # noqa: PLC0415 - as above

        template = entry.end_users.template if entry.end_users is not None else ""
        if template and not await self._shipping.store.scopes([Reference("budget", template)]):
            logger.warning(
                "governance.end_users: there is no budget %r, so it confines nobody until POST /budget/new has made it",
                template,
            )

    async def _store_models(self, entry: GovernanceEntry, prices: Prices) -> None:
        """Serve the models of the database too. Raises ConfigurationError when they cannot be opened."""
        from dragoman.gateway.stored.sealing import Sealing  # noqa: PLC0415 - as above
        from dragoman.gateway.stored.serving import StoredModels  # noqa: PLC0415 - as above

        def changed(secrets: Iterable[str]) -> None:
            prices.forget()
            self._relisted(secrets)

        keys = self._config.server.encryption_key
        self._stored = StoredModels(
            self._pipeline.policy,
            self._shipping.store,
            Sealing(keys) if isinstance(keys, tuple) else None,
            os.environ,
            private=entry.private_addresses == "allow",
            changed=changed,
        )
        await self._shipping.watch(self._stored.start, self._stored.hear)

    def _deployments(self, name: str) -> tuple[Deployment, ...]:
        group = self._pipeline.policy.find(name)
        return () if group is None else group.deployments

    async def stop(self) -> None:
        """The last rows go out, and what was leased goes back."""
        if self._shipping is not None:
            await self._shipping.stop()
        if self._sharing is not None:
            await self._sharing.stop()

    def routes(self) -> Iterable[Route]:
        """The admin API."""
        if self._pipeline.admission is None:
            return ()
        from dragoman.gateway.admin import routes  # noqa: PLC0415 - as above
        from dragoman.gateway.admin.desk import Desk  # noqa: PLC0415 - as above

        return routes(Desk(self._pipeline.admission.governance, self._shipping, stored=self._stored))
