"""Where a process listens: checked before anything is started, and how it is asked from this machine."""

from __future__ import annotations

import ipaddress
import socket

from facerec_models.errors import InputError


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Return a socket that is bound to an address, which is this process's from now on.

    Parameters
    ----------
    option : str
        What errors say to change.

    Raises
    ------
    InputError
        If the host has no address here, or the port is taken, is none, or may not be used.
    """
    if not 1 <= port <= 65535:
        raise InputError(f"{option} {port} is no port: choose one from 1024 to 65535")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host!r} has no address ({error}): name one of this machine, as 127.0.0.1") from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A port of connections that have ended is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Of two that are bound, only one may listen.
        listener.listen()
    except OSError as error:
        listener.close()
        raise InputError(
            f"{host}:{port} cannot be listened at ({error.strerror}): choose another {option}, or end what uses it"
        ) from error
    return listener


def require_free(host: str, port: int, *, option: str = "--port") -> None:
    """Raise `InputError` as `listen` does; nothing is left that listens."""
    listen(host, port, option=option).close()


def local_url(host: str, port: int) -> str:
    """Return the address at which this machine asks what listens there: of all addresses, the loopback one."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return f"http://[{ip}]:{port}" if ip.version == 6 else f"http://{ip}:{port}"
