"""The models of the database in one worker: opened when it starts, kept up with what the admin API changes in any worker.

What cannot be served any more, such as a model whose provider has lost its key, is told in the log and leaves the others as
they are: of each the last that was good is served on. Calls that run end on what they began with. `governed` begins it,
shipping tells it what was changed, the admin API asks it what would be.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from dragoman.core.errors import ConfigurationError, ConflictError, DragomanError, NotFoundError
from dragoman.gateway.governance.scopes import Reference
from dragoman.gateway.store.base import Change, Entry, Store
from dragoman.gateway.stored.keys import REMEDY, VARIABLE
from dragoman.gateway.stored.models import CREDENTIAL, MODEL, NAMED, Opened, joined, read, refused, wrong
from dragoman.gateway.stored.sealing import Sealing
from dragoman.router.model_list import ModelList
from dragoman.router.policy import Policy

logger = logging.getLogger("dragoman.gateway")

_PLACES = f"{VARIABLE}, server.encryption_key or server.encryption_key_file"


class StoredModels:
    """`sealing`: None where there is no key; then nothing is stored. `private`: addresses of the inside are open to the admin
    API. `changed` is told of every list that was taken, with the secrets in it.
    """

    def __init__(
        self,
        policy: Policy,
        store: Store,
        sealing: Sealing | None,
        env: Mapping[str, str],
        *,
        private: bool = False,
        changed: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        self.base = policy.models
        self.private = private
        self._policy = policy
        self._store = store
        self._sealing = sealing
        self._env = env
        self._changed = changed
        self._models: dict[str, Opened] = {}
        self._credentials: dict[str, Opened] = {}
        self._served: dict[str, ModelList] = {}
        self.problems: dict[str, str] = {}
        """Id of a model -> why it is not served as it is stored."""
        self._ids = {deployment.id for group in self.base.groups.values() for deployment in group}

    async def start(self) -> None:
        """Raises ConfigurationError when what is stored cannot be opened."""
        entries = await self._store.entries()
        if entries and self._sealing is None:
            raise ConfigurationError(
                f"the database holds {len(entries)} models and credentials that are encrypted, and no key is here: give the "
                f"gateway the one that they were encrypted with ({_PLACES})"
            )
        opened = [self._open(entry) for entry in entries]
        self._take({entry.reference for entry in entries}, opened)

    async def hear(self, changes: Sequence[Change]) -> None:
        """Take up what was changed, here or by another worker."""
        wanted = {Reference(change.kind, change.id) for change in changes if change.kind in (MODEL, CREDENTIAL)}
        if not wanted:
            return
        opened = []
        gone = set(wanted)
        for entry in await self._store.entries(wanted):
            gone.discard(entry.reference)
            try:
                opened.append(self._open(entry))
            except ConfigurationError as problem:
                logger.error("%s; what was served before goes on", problem.message)  # noqa: TRY400 - it says what is wrong
        self._take(gone | {each.entry.reference for each in opened}, opened)

    # what is there
    @property
    def models(self) -> list[Opened]:
        """The oldest first."""
        return sorted(self._models.values(), key=_age)

    @property
    def credentials(self) -> list[Opened]:
        return sorted(self._credentials.values(), key=_age)

    def find(self, kind: str, id_: str) -> Opened:
        """Raises NotFoundError, and BadRequestError for a model of the file."""
        found = (self._models if kind == MODEL else self._credentials).get(id_)
        if found is not None:
            return found
        if kind == MODEL and id_ in self._ids:
            raise wrong("id", f"the model {id_[:80]!r} stands in the configuration file: change it there")
        raise NotFoundError(f"there is no {kind} {id_[:80]!r}", attempts=0)

    def using(self, credential: str) -> list[Opened]:
        return [model for model in self.models if model.values.get(NAMED) == credential]

    # what would be
    def sealed(self, opened: Opened) -> Entry:
        """Ready for the store. Raises BadRequestError without a key to seal with."""
        if self._sealing is None:
            raise refused(ConfigurationError(f"the gateway stores no credential in clear and has no encryption key: {REMEDY}"))
        return replace(opened.entry, sealed=self._sealing.seal(opened.entry.reference, opened.values))

    def check(self, opened: Opened) -> tuple[str, ...]:
        """Whether this could be served; what of it would not be obeyed. Raises BadRequestError, ConflictError."""
        entry = opened.entry
        if entry.kind == MODEL:
            found = self._checked(opened, self._credentials)
            return tuple(warning.removeprefix("model_list[0].") for warning in found.warnings)
        for model in self.using(entry.id):
            try:
                self._checked(model, {**self._credentials, entry.id: opened})
            except DragomanError as problem:
                said = f"the model {model.entry.id!r} uses this credential: {problem.message}"
                raise ConflictError(said, attempts=0) from None
        return ()

    def own_addresses(self, model: Opened) -> set[str]:
        """Where its providers would be asked, by whatever says so. Raises BadRequestError."""
        found = self._checked(model, self._credentials)
        targets = [deployment.target for group in found.groups.values() for deployment in group]
        return {target.base_url for target in targets if target.base_url.startswith("http")}

    def _checked(self, model: Opened, credentials: Mapping[str, Opened]) -> ModelList:
        name = model.entry.plain["model_name"]
        if name in self.base.aliases:
            raise wrong("model_name", f"{name!r} is an alias in the configuration file")
        try:
            found = self._read(model, credentials)
            for pattern, resolve in found.patterns:
                if "/" in pattern:
                    resolve(pattern.replace("*", "any"))
        except DragomanError as problem:
            raise refused(problem) from None
        return found

    # inside
    def _open(self, entry: Entry) -> Opened:
        if self._sealing is None:
            raise ConfigurationError(f"the {entry.kind} {entry.id!r} cannot be opened: no encryption key is here ({_PLACES})")
        return Opened(entry, self._sealing.open(entry.reference, entry.sealed))

    def _read(self, model: Opened, credentials: Mapping[str, Opened]) -> ModelList:
        if model.entry.id in self._ids:
            raise ConfigurationError(f"model_info.id: {model.entry.id!r} is that of a model of the configuration file")
        return read(model, credentials, self._env)

    def _take(self, references: Iterable[Reference], opened: Iterable[Opened]) -> None:
        """These are as they are here, or gone; from now on all of it is served."""
        touched = set(references)
        for kind, id_ in touched:
            (self._models if kind == MODEL else self._credentials).pop(id_, None)
        for each in opened:
            (self._models if each.entry.kind == MODEL else self._credentials)[each.entry.id] = each
        for id_ in self._served.keys() - self._models.keys():
            del self._served[id_]
        for model in self._models.values():
            if not touched.isdisjoint((model.entry.reference, Reference(CREDENTIAL, model.values.get(NAMED, "")))):
                self._read_again(model)
        served = [self._served[model.entry.id] for model in self.models if model.entry.id in self._served]
        try:
            self._policy.use(joined(self.base, served))
        except DragomanError as problem:  # a fallback of the file's, say, that leads to what cannot be served
            logger.error("The stored models: %s; what was served before goes on", problem.message)  # noqa: TRY400 - it says what is wrong
        self._changed([word for each in (*self.models, *self.credentials) for word in each.words])

    def _read_again(self, model: Opened) -> None:
        """What cannot be read leaves what was served before."""
        id_ = model.entry.id
        self.problems.pop(id_, None)
        try:
            self._served[id_] = self._read(model, self._credentials)
        except DragomanError as problem:
            self.problems[id_] = problem.message
            left = "what was served before goes on" if id_ in self._served else "it is left out"
            logger.error("The stored model %s: %s; %s", id_, problem.message, left)  # noqa: TRY400 - it says what is wrong


def _age(opened: Opened) -> tuple[float, str]:
    return opened.entry.created, opened.entry.id
