"""One colour for each label, the same in every picture, page and video of a result."""

from __future__ import annotations

import zlib

from facerec_models.result import Result

Colour = tuple[int, int, int]

INK: Colour = (24, 24, 27)  # text on every label, and what sets a coloured line off from the picture
_UNDECIDABLE: Colour = (150, 150, 150)
# Any two of them, and the gray, differ by 8 CIEDE2000 or more to the normal eye and under simulated protanopia,
# deuteranopia and tritanopia (Machado et al. 2009); dark text has a contrast of 4.5 or more on each (WCAG AA).
_PALETTE: tuple[Colour, ...] = (
    (98, 195, 237),
    (250, 133, 21),
    (15, 179, 128),
    (245, 220, 62),
    (211, 99, 215),
    (255, 139, 192),
    (19, 152, 255),
    (173, 146, 84),
    (178, 187, 101),
)


def label_colour(label: str) -> Colour:
    """Return a label's own colour as RGB; it depends on nothing but the label, so labels may share it."""
    return _UNDECIDABLE if label == "Undecidable" else _PALETTE[zlib.crc32(label.encode()) % len(_PALETTE)]


def label_colours(result: Result) -> dict[str, Colour]:
    """Return a colour for each label of a result, all different as long as the palette lasts.

    A label has its own colour, or the next free one where another has that already; people choose before strangers.
    """
    labels = sorted({(view.identity is None, view.label) for view in result.appearances})
    chosen: dict[str, Colour] = {}
    for _, label in labels:
        own = label_colour(label)
        if own in _PALETTE:
            place = _PALETTE.index(own)
            turn = _PALETTE[place:] + _PALETTE[:place]
            own = next((colour for colour in turn if colour not in chosen.values()), own)
        chosen[label] = own
    return chosen
