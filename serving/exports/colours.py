"""One colour for each label, the same in every picture, page and video.

Colours only help the eye; the label always stands beside them. Both palettes are made to be told apart under the common
forms of colour blindness: vivid colours for people (M. Krzywinski, 12-colour palette) and pale ones for strangers
(P. Tol, *light* scheme).
"""

from __future__ import annotations

import re
import zlib

Colour = tuple[int, int, int]

UNDECIDABLE: Colour = (150, 150, 150)
_PEOPLE: tuple[Colour, ...] = (
    (0, 141, 249),
    (255, 110, 58),
    (0, 159, 129),
    (132, 0, 205),
    (255, 195, 59),
    (226, 1, 52),
    (0, 194, 249),
    (255, 90, 175),
    (0, 252, 207),
    (159, 1, 98),
    (255, 178, 253),
    (164, 1, 34),
)
_STRANGERS: tuple[Colour, ...] = (
    (119, 170, 221),
    (238, 136, 102),
    (238, 221, 136),
    (255, 170, 187),
    (187, 204, 51),
    (153, 221, 255),
    (68, 187, 153),
    (170, 170, 0),
)
_DARK: Colour = (24, 24, 27)
_WHITE: Colour = (255, 255, 255)


def label_colour(label: str) -> Colour:
    """Return a label's colour as RGB; it depends on nothing but the label.

    Strangers take their palette in turn, so that eight of one video differ. People may share a colour.
    """
    if label == "Undecidable":
        return UNDECIDABLE
    if stranger := re.fullmatch(r"Unknown ([0-9]+)", label):
        return _STRANGERS[(int(stranger[1]) - 1) % len(_STRANGERS)]
    return _PEOPLE[zlib.crc32(label.encode()) % len(_PEOPLE)]


def ink_on(colour: Colour) -> Colour:
    """Return the colour of text on `colour`, dark or white, whichever has more contrast (WCAG 2.2)."""
    return max((_DARK, _WHITE), key=lambda ink: contrast(ink, colour))


def contrast(a: Colour, b: Colour) -> float:
    """Return WCAG's contrast ratio of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(a), _luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
