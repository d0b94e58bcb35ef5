"""A picture of the evidence: the faces of everybody who was found, with when each is in view and what the decision rests on."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from facerec_models.config import LimitsConfig
from facerec_models.images import read_image
from facerec_models.result import AppearanceView, Result
from facerec_models.types import ImageArray
from serving.exports.colours import Colour, label_colours
from serving.exports.drawing import blend, fill_round, put_text, round_opacity, shorten, text_width
from serving.exports.evidence import explain_appearance
from serving.exports.export_format import ExportContext
from serving.exports.labels import clock
from serving.exports.provenance import explain_result

_WHITE: Colour = (255, 255, 255)
_INK: Colour = (39, 39, 42)
_FAINT_INK: Colour = (82, 82, 91)
_CARD: Colour = (244, 244, 245)
_WIDTH, _MARGIN, _GAP = 1600, 32, 16
_COLUMNS, _CARD_HEIGHT, _FACE = 4, 136, 112
_TITLE_PX, _TEXT_PX, _SMALL_PX = 30, 22, 17
_HEADING_HEIGHT = 56
_TEXT_LINES, _LETTERS = 4, 30
# What is more than a person looks through, and more than a picture should hold.
_MOST_OF_LABEL, _MOST_CARDS = 12, 400


@dataclass(frozen=True, slots=True)
class _LabelGroup:
    """The appearances of one label that are shown, by time, and how many there are."""

    label: str
    shown: list[AppearanceView]
    count: int
    total_s: float

    @property
    def height(self) -> int:
        rows = -(-len(self.shown) // _COLUMNS)
        return _HEADING_HEIGHT + rows * (_CARD_HEIGHT + _GAP)


def to_contact_sheet(results: Iterable[Result], context: ExportContext) -> Iterator[bytes]:
    """Yield a PNG of people by screen time, then strangers; of each the longest appearances, in the order of time.

    A card is the best face of an appearance. Where a picture is gone, its place stays empty. Undecidable faces are left out.
    """
    for result in results:
        picture = io.BytesIO()
        Image.fromarray(_draw(result, context)).save(picture, "PNG")
        yield picture.getvalue()


def _draw(result: Result, context: ExportContext) -> ImageArray:
    groups, left_out = _groups(result)
    notes = textwrap.wrap(explain_result(result), 170)
    if left_out:
        notes.append(f"{left_out:,} labels with less time in view are not shown.")
    top = 2 * _MARGIN + _TITLE_PX
    bottom = top + sum(group.height for group in groups) + (0 if groups else _HEADING_HEIGHT)
    height = bottom + _MARGIN + round(1.5 * _SMALL_PX * len(notes))
    image: ImageArray = np.full((height, _WIDTH, 3), _WHITE, np.uint8)
    title = shorten(result.video.name, _TITLE_PX, _WIDTH - 2 * _MARGIN, 600)
    put_text(image, title, _MARGIN, _MARGIN + _TITLE_PX / 2, _TITLE_PX, _INK, 600)
    colours = label_colours(result)
    for group in groups:
        _draw_group(image, group, top, colours[group.label], result, context)
        top += group.height
    if not groups:
        put_text(image, "Nobody was found in this video", _MARGIN, top + _HEADING_HEIGHT / 2, _TEXT_PX, _FAINT_INK)
    for i, line in enumerate(notes):
        put_text(image, line, _MARGIN, bottom + (i + 1) * 1.5 * _SMALL_PX, _SMALL_PX, _FAINT_INK)
    return image


def _groups(result: Result) -> tuple[list[_LabelGroup], int]:
    """Return whom the sheet shows, and how many labels it leaves out."""
    by_label: dict[tuple[bool, str], list[AppearanceView]] = {}
    for view in result.appearances:
        if view.person_id is not None or view.stranger is not None:
            by_label.setdefault((view.person_id is None, view.label), []).append(view)
    totals = {key: sum(view.end_s - view.start_s for view in views) for key, views in by_label.items()}
    groups: list[_LabelGroup] = []
    cards = 0
    for key in sorted(by_label, key=lambda key: (key[0], -totals[key], key[1])):
        views = by_label[key]
        longest = sorted(views, key=lambda view: view.start_s - view.end_s)[:_MOST_OF_LABEL]
        if cards + len(longest) > _MOST_CARDS:
            break
        cards += len(longest)
        groups.append(_LabelGroup(key[1], sorted(longest, key=lambda view: view.start_s), len(views), totals[key]))
    return groups, len(by_label) - len(groups)


def _draw_group(
    image: ImageArray, group: _LabelGroup, top: int, colour: Colour, result: Result, context: ExportContext
) -> None:
    middle = top + _HEADING_HEIGHT / 2 - 4
    fill_round(image, (_MARGIN, middle - 11, _MARGIN + 22, middle + 11), 6, colour)
    label = shorten(group.label, _TEXT_PX, _WIDTH // 2, 600)
    put_text(image, label, _MARGIN + 34, middle, _TEXT_PX, _INK, 600)
    appearances = "1 appearance" if group.count == 1 else f"{group.count:,} appearances"
    shown = "" if group.count == len(group.shown) else f", the {len(group.shown)} longest"
    told = f"{clock(group.total_s, 1)} in view, {appearances}{shown}"
    put_text(image, told, _MARGIN + 50 + text_width(label, _TEXT_PX, 600), middle, _SMALL_PX, _FAINT_INK)
    width = (_WIDTH - 2 * _MARGIN + _GAP) // _COLUMNS - _GAP
    for i, view in enumerate(group.shown):
        left = _MARGIN + (i % _COLUMNS) * (width + _GAP)
        y = top + _HEADING_HEIGHT + (i // _COLUMNS) * (_CARD_HEIGHT + _GAP)
        fill_round(image, (left, y, left + width, y + _CARD_HEIGHT), 12, _CARD)
        inset = (_CARD_HEIGHT - _FACE) // 2
        _put_face(image, view, left + inset, y + inset, context)
        x = left + _FACE + 2 * inset
        put_text(image, _span(view), x, y + inset + _TEXT_PX / 2, _TEXT_PX - 2, _INK, 600)
        why = explain_appearance(view, result).removeprefix(f"{view.label}; ")
        lines = textwrap.wrap(why, _LETTERS, max_lines=_TEXT_LINES, placeholder=" …")
        for k, line in enumerate(lines):
            put_text(image, line, x, y + inset + _TEXT_PX + (k + 0.9) * 1.25 * _SMALL_PX, _SMALL_PX - 2, _FAINT_INK)


def _put_face(image: ImageArray, view: AppearanceView, x: int, y: int, context: ExportContext) -> None:
    data = context.read_crop(view.evidence.crops[0].url) if view.evidence.crops else None
    if data is None:
        return
    face = cv2.resize(read_image(data, LimitsConfig()), (_FACE, _FACE), interpolation=cv2.INTER_AREA)
    blend(image, x, y, face.astype(np.uint8, copy=False), round_opacity(_FACE, _FACE, (0, 0, _FACE, _FACE), 10))


def _span(view: AppearanceView) -> str:
    return f"{clock(view.start_s, 1)} to {clock(view.end_s, 1)}"
