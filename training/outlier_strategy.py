"""How pictures of another person are found. A module of its own: the command offers it, and must not load what finds them."""

from enum import StrEnum


class OutlierStrategy(StrEnum):
    """How pictures of another person are found; see `training.curate`."""

    ROBUST = "robust"
    PREDECESSOR = "predecessor"
