"""One record per provider and model, and the file of them that is shipped in the wheel.

Every rate is an integer: nano-dollars per million of its unit (3 USD per million tokens are 3_000_000_000; 0.04 USD for an
image are 40_000_000_000_000 per million images). Every record names its sources and the day on which they said so. The file
is read on first use, and a record is decoded only when it is asked for. Looking names up is `lookup`'s business; writing the
file is that of tools/catalog_seed.py.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from dragoman.core.chat import Value

KINDS = frozenset(
    """
    input output cache_read cache_write cache_write_1h reasoning citation
    input_audio output_audio cache_read_audio input_image output_image cache_read_image input_video output_video
    image second character page annotated_page query web_search file_search message call
    """.split()
)
"""What a rate may be for: tokens of a kind; from `image` on, units that are no tokens. `cache_write` lives five minutes.

An image may be of a quality and a size: "image", "image hd", "image 1024x1792", "image hd 1024x1792".
"""

MODES = frozenset({"batch", "flex", "priority", "fast", "thinking", "peak"})
"""Other price lists of a model: service tiers and batches by choice; `thinking` and `peak` by what happened."""

ABILITIES = frozenset(
    "tools tool_choice parallel_tools structured_output reasoning prompt_cache web_search prefill system_messages".split()
)


class Step(Value, frozen=True, kw_only=True):
    """Rates that replace the usual ones, for the whole call, when its prompt has more than `above` tokens."""

    above: int
    rates: dict[str, int]


class Tariff(Value, frozen=True, kw_only=True):
    """A price list: kind -> nano-dollars per million units. `steps` ascend."""

    rates: dict[str, int] = {}
    steps: tuple[Step, ...] = ()


class Model(Value, frozen=True, kw_only=True):
    """What is known of a model at a provider. None, an absent kind or an absent ability is "not known".

    `context_window` and `max_output` are tokens. `inputs` and `outputs` are of text, image, audio, video, pdf. `modes` holds
    price lists beside the usual `price`; what they do not list costs as usual. `peak_hours`: UTC minutes of the day, from and
    until, in which the list `peak` holds. `names`: globs of further names of the same model. `deprecated`: a date, or "yes"
    where no date was given. `as_of` is a date (YYYY-MM-DD), `source` says who stated the facts.
    """

    provider: str = ""
    name: str = ""
    kind: str = "chat"
    context_window: int | None = None
    max_output: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    abilities: dict[str, bool] = {}
    price: Tariff = Tariff()
    modes: dict[str, Tariff] = {}
    peak_hours: tuple[tuple[int, int], ...] = ()
    names: tuple[str, ...] = ()
    deprecated: str | None = None
    vector_size: int | None = None
    source: str = ""
    as_of: str = ""
    extra: dict[str, Any] = {}

    @property
    def priced(self) -> bool:
        return bool(self.price.rates)


class File(Value, frozen=True, kw_only=True):
    """The file: provider -> name -> a record, not yet decoded. `sources`: package -> version it was made from."""

    sources: dict[str, str]
    models: dict[str, dict[str, msgspec.Raw]]


@cache
def shipped() -> File:
    """The records of the wheel."""
    return msgspec.json.decode(files("dragoman.catalog").joinpath("models.json").read_bytes(), type=File)


def decoded(provider: str, name: str, raw: msgspec.Raw) -> Model:
    return msgspec.structs.replace(_decoder.decode(raw), provider=provider, name=name)


_decoder = msgspec.json.Decoder(Model)
