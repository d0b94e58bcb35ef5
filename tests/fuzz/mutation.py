"""Content that is nearly right: bytes and documents of which a little was changed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

_NUMBERS = [0, -1, 1, 255, 2**31 - 1, 2**31, 2**63, 10**400, float("inf"), float("nan"), -0.0, 1e308]
_TEXTS = [
    "",
    "\0",
    "a" * 5000,
    "\u202e",
    "é",
    "=1+1",
    "../../etc/passwd",
    "t=1,0",
    "file:///etc/passwd",
    "stranger-aaaaaaaaaa",
    "\ud800",
]
_TOKENS = [
    b"\0",
    b"\xff",
    b"\r\n",
    b'"',
    b",",
    b"{",
    b"[" * 200,
    b"\xef\xbb\xbf",
    b"9" * 400,
    b"-1",
    b"nan",
    b"=cmd|' /C calc'!A0",
    b";",
]


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Return content of which some bytes were flipped, cut, repeated or put in; what begins it, its header, most often."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        if not data:
            break
        # Headers say the most about what follows.
        end = len(data) if chance.random() < 0.6 else min(len(data), 256)
        at = chance.randrange(end)
        match chance.randrange(7):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.choice([0, 1, 127, 128, 255])
            case 2:
                del data[at : at + chance.choice([1, 4, 64, len(data)])]
            case 3:
                data[at:at] = data[at : at + chance.choice([4, 64, 4096])]
            case 4:
                data[at:at] = chance.choice(_TOKENS)
            case 5:  # a size or a count
                data[at : at + 4] = chance.choice(
                    [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x01"]
                )
            case _:
                other = chance.randrange(len(data))
                data[at : at + 8], data[other : other + 8] = data[other : other + 8], data[at : at + 8]
    return bytes(data)


def mutate_document(document: Any, chance: random.Random) -> Any:
    """Return a JSON document of which some values are others, are missing, or are of another kind."""
    changed = copy.deepcopy(document)
    for _ in range(chance.choice([1, 1, 2, 3])):
        places = list(_places(changed))
        if not places:
            return _anything(chance)
        holder, key = chance.choice(places)
        if chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = _anything(chance)
    return changed


def contents(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Mutations of some contents, and now and then any bytes."""
    near = st.builds(_mutation(mutate), st.sampled_from(seeds), st.randoms(use_true_random=False))
    return st.one_of(near, near, near, st.binary(max_size=200))


def documents(seeds: list[Any]) -> st.SearchStrategy[Any]:
    """Mutations of some documents."""
    return st.builds(_mutation(mutate_document), st.sampled_from(seeds), st.randoms(use_true_random=False))


def _mutation(change: Callable[[Any, random.Random], Any]) -> Callable[[Any, random.Random], Any]:
    return lambda seed, chance: change(seed, random.Random(chance.getrandbits(64)))


def _places(node: Any) -> Any:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        yield node, key
        yield from _places(value)


def _anything(chance: random.Random) -> Any:
    return chance.choice([None, True, [], {}, [[]], {"a": {}}, chance.choice(_NUMBERS), chance.choice(_TEXTS)])
