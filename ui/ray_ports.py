"""Whether a Ray of this machine can be reached by others: whoever reaches one without a token runs programs on it."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

_DAEMONS = frozenset({"gcs_server", "raylet"})
_HOW = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH before each `ray start`, and start them again"


@dataclass(frozen=True, slots=True)
class RayDaemon:
    """A process of a Ray: where it listens for others, whether it asks for a token, and the file of it that all users read."""

    name: str
    pid: int
    open_at: tuple[str, ...]
    has_token: bool
    readable_token: Path | None = None


def examine_ray(
    environment: Mapping[str, str] = os.environ, processes: Iterable[psutil.Process] | None = None
) -> tuple[str, Literal["ok", "note", "bad"], str]:
    """Say which processes of Ray on this machine, or among those given, others can reach, and whether they ask for a token."""
    daemons, unread = _daemons(psutil.process_iter() if processes is None else processes)
    without = [one for one in daemons if one.open_at and not one.has_token]
    if without:
        shown = "; ".join(f"{one.name} (process {one.pid}) at {', '.join(one.open_at)}" for one in without)
        return "ray", "bad", f"open to other machines, and no token is asked for: {shown}. To close it: {_HOW}"
    if readable := sorted({str(one.readable_token) for one in daemons if one.readable_token is not None}):
        shown = ", ".join(readable)
        return (
            "ray",
            "bad",
            f"every user of this machine can read the token, and with it run programs as the user of Ray: chmod 600 {shown}",
        )
    address = environment.get("RAY_ADDRESS")
    if address and environment.get("RAY_AUTH_MODE", "").lower() != "token":
        return "ray", "bad", f"RAY_ADDRESS names {address}, and RAY_AUTH_MODE is not 'token': {_HOW}"
    if unread:
        return "ray", "note", f"of {unread} processes it is not known where they listen: they are another user's"
    if opened := [one for one in daemons if one.open_at]:
        return "ray", "note", f"{len(opened)} processes are open to other machines, and ask for a token"
    return "ray", "ok", f"{len(daemons)} processes, on this machine alone" if daemons else "none runs on this machine"


def _daemons(processes: Iterable[psutil.Process]) -> tuple[list[RayDaemon], int]:
    """Return the processes of Ray, and of how many nothing is known."""
    found, unread = [], 0
    for process in processes:
        try:
            name = process.name()
            if name not in _DAEMONS:
                continue
            open_at = sorted(
                f"{connection.laddr.ip}:{connection.laddr.port}"
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN and not _is_loopback(connection.laddr.ip)
            )
            environment = process.environ()
        except psutil.AccessDenied:
            unread += 1
        except psutil.NoSuchProcess:  # it has ended meanwhile
            continue
        else:
            has_token = environment.get("RAY_AUTH_MODE", "").lower() == "token"
            token = _token_file(environment) if has_token else None
            readable = token if token is not None and _is_readable_by_all(token) else None
            found.append(RayDaemon(name, process.pid, tuple(open_at), has_token, readable))
    return found, unread


def _token_file(environment: Mapping[str, str]) -> Path | None:
    """Return where Ray reads the token from; the file that it makes in the user's folder can be read by all."""
    if environment.get("RAY_AUTH_TOKEN"):
        return None
    if named := environment.get("RAY_AUTH_TOKEN_PATH"):
        return Path(named)
    return Path(environment["HOME"], ".ray", "auth_token") if environment.get("HOME") else None


def _is_readable_by_all(path: Path) -> bool:
    """Return whether users of other groups read a file: its own mode allows that, and the folders above let them through."""
    try:
        is_readable = path.stat().st_mode & stat.S_IROTH
        return bool(is_readable) and all(folder.stat().st_mode & stat.S_IXOTH for folder in path.absolute().parents)
    except OSError:  # not there, or out of this user's reach: the one who runs Ray is told
        return False


def _is_loopback(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
