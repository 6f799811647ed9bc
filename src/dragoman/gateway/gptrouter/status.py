"""The status page and its badges: how models fare, for people. One self-contained document, without scripts and other files.

    GET /status                       every model that was asked in the last day
    GET /status/badge/PROVIDER/MODEL.svg

It says what the history says, and nothing of who asked. Called by `routes`; who may see it is decided there.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NamedTuple
from urllib.parse import unquote

from dragoman.gateway.gptrouter.health import BUCKET_SECONDS, Bucket, Known, iso

DAY = 86400
_HOURS = 24
_UNKNOWN = "unknown"
_BADGE = "/status/badge/"
MAX_NAME = 100


class Standing(NamedTuple):
    """`word` is up, down or unknown. `share` of the day's attempts that succeeded and mean `latency` (ms), None without any."""

    word: str
    share: float | None
    latency: float | None


def standing(known: Known | None, now: float) -> Standing:
    recent = [] if known is None else [bucket for start, bucket in known.buckets.items() if start > now - DAY - BUCKET_SECONDS]
    total = _sum(recent)
    asked = total.good + total.bad
    if known is None or not asked:
        return Standing(_UNKNOWN, None, None)
    return Standing("up" if known.up else "down", total.good / asked, total.mean_latency)


def page(models: Iterable[Known], now: float) -> bytes:
    rows = "".join(_row(known, now) for known in sorted(models, key=lambda known: known.name))
    told = rows or '<tr><td colspan="5">Nobody has asked a model yet.</td></tr>'
    return _PAGE.replace("ROWS", told).replace("MOMENT", iso(now)).encode()


def badge_name(path: bytes) -> str:
    """The model that a path asks the badge of, as provider/model."""
    return unquote(path.decode("latin-1").partition(_BADGE)[2]).removesuffix(".svg")[:MAX_NAME]


def badge(name: str, known: Known | None, now: float) -> bytes:
    """A model that nobody knows is unknown, and no error: this is a picture."""
    found = standing(known, now)
    told = found.word if found.share is None else f"{found.word} {_percent(found.share)}"
    left, right = 14 + 7 * len(name), 14 + 7 * len(told)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{escape(name)}: {told}"><title>{escape(name)}: {told}</title>'
        f'<rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_FILLS[found.word]}"/>'
        f'<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2}" y="14">{escape(name)}</text><text x="{left + right / 2}" y="14">{told}</text></g></svg>'
    ).encode()


_FILLS = {"up": "#1a7f37", "down": "#b42318", _UNKNOWN: "#5c6570"}


def _sum(buckets: Iterable[Bucket]) -> Bucket:
    total = Bucket(0)
    for bucket in buckets:
        total.add(bucket)
    return total


def _percent(share: float) -> str:
    """Never rounded up to a perfect record."""
    return "100%" if share == 1 else f"{min(share * 100, 99.9):.1f}%"


def _row(known: Known, now: float) -> str:
    found = standing(known, now)
    share = "-" if found.share is None else _percent(found.share)
    latency = "-" if found.latency is None else f"{found.latency:.0f} ms"
    cells = f'<td class="{found.word}">{found.word}</td><td>{share}</td><td>{latency}</td><td>{_day(known, now)}</td>'
    return f'<tr><th scope="row">{escape(known.name)}</th>{cells}</tr>'


def _day(known: Known, now: float) -> str:
    """A bar an hour, the last one is this hour."""
    hour = int(now) // 3600
    bars, words = [], []
    for back in range(_HOURS - 1, -1, -1):
        total = _sum(bucket for start, bucket in known.buckets.items() if start // 3600 == hour - back)
        asked = total.good + total.bad
        word = _UNKNOWN if not asked else "up" if total.available else "down"
        bars.append(f'<rect class="{word}" x="{(_HOURS - 1 - back) * 6}" width="5" height="18"/>')
        words.append(word)
    told = f"{words.count('up')} hours up, {words.count('down')} down, {words.count(_UNKNOWN)} without traffic"
    return f'<svg width="{_HOURS * 6}" height="18" role="img" aria-label="{told}">{"".join(bars)}</svg>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Status of the models</title><style>
:root{color-scheme:light dark;--text:#1c2024;--page:#fff;--line:#d0d7de;--up:#1a7f37;--down:#b42318;--unknown:#5c6570}
@media(prefers-color-scheme:dark){:root{--text:#e6e9ec;--page:#16191d;--line:#3a4149;--up:#3fb950;--down:#ff7b72;
--unknown:#9aa4af}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--page);max-width:60rem;margin:2rem auto;
padding:0 1rem}
div{overflow-x:auto}table{border-collapse:collapse;width:100%}
caption,th,td{text-align:left;padding:.5rem .75rem;border-bottom:1px solid var(--line)}
td.up{color:var(--up)}td.down{color:var(--down);font-weight:600}td.unknown{color:var(--unknown)}
rect.up{fill:var(--up)}rect.down{fill:var(--down)}rect.unknown{fill:var(--line)}
</style></head><body><main><h1>Status of the models</h1>
<div tabindex="0" role="region" aria-label="Models"><table>
<caption>Real traffic of the last 24 hours, as of <time>MOMENT</time></caption>
<thead><tr><th scope="col">Model</th><th scope="col">Now</th><th scope="col">Answered</th>
<th scope="col">Mean latency</th><th scope="col">Hour by hour</th></tr></thead>
<tbody>ROWS</tbody></table></div></main></body></html>
"""
