"""HTTP connections that lead to the public internet alone, whatever a name resolves to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

# All that was ever given out as global unicast (RFC 4291, 2.4). Outside are IPv4-mapped and IPv4-compatible addresses, both
# prefixes of NAT64 (RFC 6052, RFC 8215), unique local, site-local, link-local and multicast ones.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Inside it, but leading to an IPv4 address within (RFC 3056); Teredo's prefix is known not to be global.
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
# Each may take as long as a connection may.
_MOST_TRIED = 4


def is_public(address: str) -> bool:
    """Whether an IP address is of the public internet; no IPv6 address that carries an IPv4 address inside is.

    Examples
    --------
    >>> is_public("93.184.216.34"), is_public("192.168.0.1"), is_public("::ffff:93.184.216.34")
    (True, False, False)
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in _GLOBAL_UNICAST or ip in _SIX_TO_FOUR):
        return False
    return ip.is_global and not ip.is_multicast


class NotPublicError(NewConnectionError):
    """A name leads to an address that is not public: nothing was sent there."""


class PublicConnection(HTTPConnection):
    """Resolves a name once and connects to that very address, if it is public: a second resolution could give another.

    All addresses of the name must be public; the first four are tried in their order.

    Parameters
    ----------
    private_hosts : collection of str
        Hosts, as they are written in the address that is asked for but in lower case, without brackets and without a dot at their
        end, whose IP addresses may be any.
    on_socket : callable, optional
        Gets the socket as soon as it is connected, before TLS begins.
    """

    def __init__(
        self,
        *args: Any,
        private_hosts: Collection[str] = (),
        on_socket: Callable[[socket.socket], object] | None = None,
        **kwargs: Any,
    ) -> None:
        self._private_hosts = private_hosts
        self._on_socket = on_socket
        super().__init__(*args, **kwargs)

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        connected = self._connect_to_first(name, self._checked_addresses(name))
        if self._on_socket is not None:
            self._on_socket(connected)
        return connected

    def _checked_addresses(self, name: str) -> list[str]:
        try:
            found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, f"{name!r} has no address: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if self.host.strip("[]").lower() not in self._private_hosts:
            for address in addresses:
                if not is_public(address):
                    # Not its number: whoever is told would learn how names of the inside resolve.
                    raise NotPublicError(self, f"{name!r} is of no public address")
        return addresses

    def _connect_to_first(self, name: str, addresses: list[str]) -> socket.socket:
        failure: HTTPError = NewConnectionError(self, f"{name!r} has no address")
        try:
            for address in addresses[:_MOST_TRIED]:
                self._dns_host = address
                try:
                    return super()._new_conn()
                except NewConnectionError as error:
                    failure = error
                except ConnectTimeoutError as error:
                    # Its own text names the number for the host.
                    failure = ConnectTimeoutError(f"connecting to {name!r} took too long")
                    failure.__cause__ = error
        finally:
            self._dns_host = name  # TLS checks the certificate against the name
        raise failure


class PublicTlsConnection(PublicConnection, HTTPSConnection):
    """The same under TLS."""
