"""Files and batches of the gateway: kept at providers, under ids that know where they are and whose.

    files: {providers: [openai, anthropic]}

Clients of OpenAI's API and of Anthropic's are told apart by the header that all of Anthropic's send. `openai_pages` and
`anthropic_pages` answer them; `batch_books` keeps what batches cost.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dragoman.core.errors import BadRequestError, NotFoundError
from dragoman.core.http import Headers
from dragoman.dialects import openai_errors
from dragoman.dialects.anthropic_messages.errors import encode_error as encode_anthropic_error
from dragoman.gateway import serving
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.raw import anthropic_pages, openai_pages
from dragoman.gateway.raw.asking import Asking, Page, check
from dragoman.gateway.raw.batch_books import BatchBooks
from dragoman.gateway.raw.batch_places import Place, place_of
from dragoman.gateway.raw.file_ids import Ids
from dragoman.gateway.raw.passing import Passing
from dragoman.gateway.raw.upstream import Upstream
from dragoman.router.deployment import Deployment

if TYPE_CHECKING:
    from dragoman.engine.call import CallOptions
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.pipeline import Pipeline
    from dragoman.providers.base import Target

OPENAI, ANTHROPIC = "openai", "anthropic"
_PAGES = {OPENAI: openai_pages.PAGES, ANTHROPIC: anthropic_pages.PAGES}
_ERRORS = {OPENAI: openai_errors.encode_error, ANTHROPIC: encode_anthropic_error}


class Files:
    """`targets`: the providers that keep files, the first one first. `secret`: what ids are signed with. `start` and `stop` are
    called once, on the server's loop.
    """

    def __init__(self, pipeline: Pipeline, options: CallOptions, targets: dict[str, Target], secret: bytes) -> None:
        self.pipeline = pipeline
        self.options = options
        self.targets = targets
        self.ids = Ids(secret)
        self.books = BatchBooks(pipeline, self.place, self.priced)

    def start(self) -> None:
        self.books.start()

    async def stop(self) -> None:
        await self.books.stop()

    def routes(self) -> serving.Routes:
        """Under `/v1` and without it, as base URLs are written both ways."""
        shared: dict[tuple[str, str], dict[str, Page]] = {}
        for face, pages in _PAGES.items():
            for method, path, page in pages:
                shared.setdefault((method, path), {})[face] = page
        table: dict[tuple[str, bytes], serving.Route] = {}
        for (method, path), faces in shared.items():
            route = serving.Route(self._handler(faces), _ERRORS[next(iter(faces))])
            table[method, f"/v1{path}".encode()] = table[method, path.encode()] = route
        return table

    def _handler(self, faces: dict[str, Page]) -> Callable[[Exchange], Coroutine[Any, Any, None]]:
        def handle(exchange: Exchange) -> Coroutine[Any, Any, None]:
            asked = ANTHROPIC if exchange.header(b"anthropic-version") is not None else OPENAI
            face = asked if asked in faces else next(iter(faces))
            page = faces[face]
            passing = Passing(self.pipeline, self.options, exchange, "file", _ERRORS[face])

            async def work(who: Identity | None) -> None:
                check(who, "file", exchange.path.decode("latin-1"))
                await page(Asking(self, exchange, passing, who))

            return passing.run(work)

        return handle

    def upstream(self, target: Target) -> Upstream:
        return Upstream(self.pipeline.transport, self.options, target)

    def at(self, provider: str) -> Target | None:
        """The place of a provider, by the name in its row."""
        return next((held for held in self.targets.values() if held.provider.name == provider), None)

    def place(self, provider: str, headers: Headers | None = None) -> Place | None:
        """A provider's batches."""
        target = self.at(provider)
        return None if target is None else place_of(self.upstream(target), headers)

    def deployment(self, group: str, target: Target) -> Deployment:
        """Of the model group, the one that is at this provider. Raises NotFoundError and BadRequestError."""
        for node in self.pipeline.policy.group(group).nodes:
            place = node.deployment.target
            if (place.provider.name, place.base_url) == (target.provider.name, target.base_url):
                return node.deployment
        raise BadRequestError(f"model: {group!r} is not served by {target.provider.name}, where this is kept", attempts=0)

    def priced(self, group: str, provider: str) -> Deployment:
        """As `deployment`, for the price; one that the configuration has forgotten has none any more."""
        target = self.at(provider) or next(iter(self.targets.values()))
        try:
            return self.deployment(group, target)
        except (NotFoundError, BadRequestError):
            return Deployment(replace(target, model=group), group=group)
