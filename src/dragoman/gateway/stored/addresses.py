"""Which addresses a key of the admin API may make the gateway talk to: those of the public internet, and no others.

A host of the inside (loopback, private networks, link-local with the clouds' metadata service) is refused, by number in any
spelling and by name as it resolves now. Who configures the gateway by its file is not asked; `governance.private_addresses`
opens them. Called by the admin API before anything is stored.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from dragoman.core.errors import BadRequestError, ErrorDetail

_NAT64 = IPv6Network("64:ff9b::/96")


async def check(url: str, field: str) -> None:
    """Raises BadRequestError that names the field, for a URL whose host is, or resolves to, an address of the inside.

    A name that does not resolve leads nowhere, so it passes.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _refused(field, "expected a URL that begins with https:// or http://")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    if not all(is_public(str(place[4][0])) for place in found):
        raise _private(field, parts.hostname)


def check_own(url: str, field: str) -> None:
    """As `check`, of an address that a provider has by itself: no name server is asked for those."""
    host = urlsplit(url).hostname or ""
    try:
        inside = host == "localhost" or not is_public(host)
    except ValueError:  # a name
        inside = False
    if inside:
        raise _private(field, host)


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet, and what it carries an address in does too."""
    address = ip_address(text.partition("%")[0])
    inner = _inner(address) if isinstance(address, IPv6Address) else []
    return all(each.is_global and not each.is_multicast for each in (address, *inner))


def _inner(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that some IPv6 addresses stand for."""
    carried = [address.ipv4_mapped, address.sixtofour]
    if address in _NAT64:
        carried.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in carried if inner is not None]


def _private(field: str, host: str) -> BadRequestError:
    return _refused(
        field,
        f"{host} is an address of a private network, which the admin API may not point the gateway at: write "
        "the model into the configuration file, or set governance.private_addresses to allow",
    )


def _refused(field: str, message: str) -> BadRequestError:
    return BadRequestError(f"{field}: {message}", detail=ErrorDetail(message=message, param=field), attempts=0)
