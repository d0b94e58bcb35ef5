"""The parts of a page that Gradio has no component for, as HTML. Everything from outside is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from facerec_models.identification.reasons import is_beside
from facerec_models.names import identity_of
from facerec_models.result import AppearanceView, CandidateView, Result
from serving.exports.colours import Colour, label_colours
from serving.exports.evidence import explain_appearance
from serving.exports.labels import clock, one_in, percent
from ui.views import APPEARANCE_COLUMNS, appearance_rows

HEADER = '<header class="fr-header"><h1>FaceRec</h1><p>Who appears in a video, when, and on what evidence.</p></header>'
EMPTY = (
    '<div class="fr-empty"><strong>Nothing to show yet</strong>'
    "<span>Upload a video and press Analyse, or open one that was analysed before.</span></div>"
)

_ARROW = '<span class="fr-arrow" aria-hidden="true">&#8596;</span>'


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A JPEG and the line below it."""

    data: bytes
    caption: str


def notice(text: str, command: str = "") -> str:
    """Say what stands in the way, and the command that removes it."""
    code = f"<code>{escape(command)}</code>" if command else ""
    return f'<div class="fr-notice" role="alert"><span>{escape(text)}</span>{code}</div>'


def progress(text: str, fraction: float | None) -> str:
    """Show how far the work is; None where nobody can say."""
    share = "" if fraction is None else f"{fraction:.0%}"
    bar = '<i class="fr-moving"></i>' if fraction is None else f'<i style="width:{fraction:.1%}"></i>'
    value = "" if fraction is None else f' aria-valuenow="{fraction * 100:.0f}"'
    return (
        f'<div class="fr-progress"><p><span>{escape(text)}</span><span>{share}</span></p>'
        f'<div role="progressbar" aria-label="{escape(text)}" aria-valuemin="0" aria-valuemax="100"{value}>{bar}</div></div>'
    )


def summary(name: str, result: Result) -> str:
    """Say in a line what was found, with what a reader must know to trust it."""
    people = len({view.person_id for view in result.appearances if view.person_id})
    strangers = len({view.stranger for view in result.appearances if view.stranger})
    facts = [
        clock(result.video.duration_s),
        f"{people} {'person' if people == 1 else 'people'} named",
        f"{strangers} unknown",
        f"a face in view for {percent(result.coverage.face_s / max(result.video.duration_s, 1e-9))} of the time",
    ]
    warnings = list(result.video.warnings)
    if not result.video.complete:
        warnings.insert(0, "The video could not be read to its end.")
    if result.model.extrapolated:
        most = one_in(result.model.max_false_names)
        warnings.append(f"No data checked that no more than {most} strangers gets a name: it is extrapolated.")
    lines = "".join(f'<p class="fr-warning">{escape(warning)}</p>' for warning in warnings)
    return f'<div class="fr-summary"><h2>{escape(name)}</h2><p>{escape("  ·  ".join(facts))}</p>{lines}</div>'


def appearance_table(result: Result, selected: int | None) -> str:
    """Return the appearances as rows that can be selected; what cannot be decided is folded away.

    A face that is undecidable for one beside it stays: a person can tell who that is.
    """
    if not result.appearances:
        return '<p class="fr-quiet">Nobody appears in this video.</p>'
    colours = label_colours(result)
    head = "".join(f"<th>{escape(column)}</th>" for column in APPEARANCE_COLUMNS)
    rows = "".join(
        f'<tr {_selectable(i, selected)} class="{"fr-undecidable" if _is_folded(view) else ""}">'
        f"<td>{_dot(colours[view.label])}{escape(row[0])}</td>"
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for i, (view, row) in enumerate(zip(result.appearances, appearance_rows(result), strict=True))
    )
    hidden = sum(map(_is_folded, result.appearances))
    fold = (
        f'<label class="fr-fold"><input type="checkbox"> show {hidden} that cannot be decided</label>' if hidden else ""
    )
    return (
        f'<div class="fr-appearances"><div class="fr-scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{fold}</div>"
    )


def face_gallery(result: Result, faces: Mapping[int, bytes], selected: int | None) -> str:
    """Return who is in the video as faces that can be selected; `faces` has a JPEG for some appearances."""
    figures = "".join(
        f'<figure {_selectable(i, selected)} role="button">{_image(face, view.label)}'
        f"<figcaption>{escape(view.label)}<small>{clock(view.start_s, 1)}</small></figcaption></figure>"
        for i, face in faces.items()
        for view in [result.appearances[i]]
    )
    return f'<section class="fr-card"><h3>Faces</h3><div class="fr-gallery">{figures}</div></section>'


def evidence(
    result: Result, view: AppearanceView, seen: Sequence[ShownPicture], enrolled: Sequence[ShownPicture]
) -> str:
    """Return what the decision about an appearance rests on: pictures side by side, and the figures explained."""
    faces = _figure("In the video", seen) if seen else ""
    if enrolled:
        faces += _ARROW + _figure("Nearest enrolled", enrolled)
    points = "".join(f"<li>{point}</li>" for point in _reasons(result, view))
    times = f"{clock(view.start_s, 1)} to {clock(view.end_s, 1)}"
    return (
        f'<section class="fr-card fr-evidence"><h3>{_dot(label_colours(result)[view.label])}{escape(view.label)}'
        f'<small>{times}</small></h3><div class="fr-faces">{faces}</div><ul>{points}</ul></section>'
    )


def is_decided(view: AppearanceView) -> bool:
    """Return whether an appearance is of a person, known or unknown."""
    return view.person_id is not None or view.stranger is not None


def _reasons(result: Result, view: AppearanceView) -> list[str]:
    """Return what a decision rests on as sentences in HTML."""
    told = explain_appearance(view, result)
    points = [f"{escape(told[:1].upper() + told[1:] if view.person_id is None else told)}."]
    if view.evidence.note is not None:
        points.append(f"{escape(view.evidence.note[:1].upper() + view.evidence.note[1:])}.")
    other, margin = view.evidence.runner_up, view.evidence.margin
    if other is None:
        return points
    if view.person_id is None and is_beside(view.reason):
        points.append(f"The nearest is {_person(other)}.")
    if view.person_id is not None and margin is not None:
        points.append(
            f"The runner-up is {_person(other)}, <b>{abs(margin):.3f}</b> {'less' if margin >= 0 else 'more'} similar."
        )
    return points


def _is_folded(view: AppearanceView) -> bool:
    return not is_decided(view) and not is_beside(view.reason)


def _person(candidate: CandidateView) -> str:
    return f"{escape(str(identity_of(candidate.person_id)))} (similarity {candidate.similarity:.3f})"


def _figure(title: str, pictures: Sequence[ShownPicture]) -> str:
    images = "".join(
        f"<figure>{_image(picture.data, picture.caption)}<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    return f"<div><h4>{escape(title)}</h4><div>{images}</div></div>"


def _image(data: bytes, alt: str) -> str:
    return f'<img alt="{escape(alt)}" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'


def _selectable(appearance: int, selected: int | None) -> str:
    return f'tabindex="0" data-appearance="{appearance}" aria-current="{str(appearance == selected).lower()}"'


def _dot(colour: Colour) -> str:
    return f'<i class="fr-dot" style="background:rgb{colour}"></i>'
