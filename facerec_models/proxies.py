"""Proxies that the environment names, as in HTTPS_PROXY: for the rest of the world, never for this machine."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAMES = ("no_proxy", "NO_PROXY")


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine: ``localhost``, or an IP address of its loopback interface.

    Examples
    --------
    >>> is_loopback("http://127.0.0.2:8000/x"), is_loopback("http://[::1]"), is_loopback("https://example.org")
    (True, True, False)
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def keep_loopback_direct() -> None:
    """Let nothing in this process, and in those that it starts, ask this machine through a proxy.

    For entry points: a proxy would ask itself, not this machine. Each HTTP library reads ``NO_PROXY``.
    """
    named = next((os.environ[name] for name in _NAMES if os.environ.get(name)), "")
    listed = [part.strip() for part in named.split(",") if part.strip()]
    if "*" not in listed:
        listed += [host for host in _LOOPBACK if host not in listed]
    for name in _NAMES:
        os.environ[name] = ",".join(listed)


@contextmanager
def without_proxies() -> Iterator[None]:
    """Let the block see no proxy in the environment: some packages make clients when they are imported, which fail with one."""
    named = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    for name in named:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(named)
