"""Names and the edits that change them, all that a change writes at once: the same for every database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from facerec_models.errors import ModelNotFoundError
from serving.store import conflicts
from serving.store.codecs import row_from_json, row_to_json
from serving.store.lookups import (
    latest_of,
    promotions,
    require_analyses,
    require_model,
    require_one,
    require_project,
)
from serving.store.naming_rows import (
    AppliedEdit,
    Correction,
    Edit,
    FormerRow,
    NamedTracks,
    NamingChange,
    NamingState,
    Promotion,
    Stranger,
)
from serving.store.rows import Face, Project
from serving.store.shared_access import log
from serving.store.shared_corrections import corrections_of, free_analyses, move_stranger_tracks, put_corrections
from serving.store.transaction import Database, Transaction

_ROWS: dict[str, tuple[type[Correction] | type[Face] | type[Stranger], str]] = {
    "correction": (Correction, "correction_id"),
    "face": (Face, "face_id"),
    "stranger": (Stranger, "stranger_id"),
}


class SharedNaming:
    """The part of a `Store` that is about names and edits."""

    _shared: Database

    def read_naming(self, project: str, analysis_ids: Sequence[str] | None = None) -> NamingState:
        """Return, as of one moment, what names depend on and who tracks are: of all analyses, or of these."""
        with self._shared.reading() as tx:
            row = require_project(tx, project)
            version = next((row["version"] for row in promotions(tx, project)), None)
            return NamingState(
                row,
                None if version is None else require_model(tx, project, version),
                corrections_of(tx, {"project": project}, analysis_ids),
                {row.analysis_id: row for row in _named_of(tx, project, analysis_ids)},
                latest_of(tx, project) if analysis_ids is None else {},
            )

    def list_named(self, project: str, analysis_ids: Sequence[str] | None = None) -> list[NamedTracks]:
        """Return who the tracks of analyses are, by analysis; of all that are named, or of these."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return _named_of(tx, project, analysis_ids)

    def list_former_named(self, project: str, number: int) -> list[NamedTracks]:
        """Return who tracks were before an edit, as far as it changed that."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return tx.select(NamedTracks, {"project": project, "edit": number}, ("analysis_id",))

    def list_edits(
        self, project: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[AppliedEdit]:
        """Return edits, the first one first, or the last one first: at most `limit` that come after a number (0: from the first)."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            order = ("-project", "-number") if newest_first else ("project", "number")
            behind = None if after == 0 else (project, after)
            return tx.select(AppliedEdit, {"project": project}, order, after=behind, limit=limit)

    def last_edit(self, project: str) -> AppliedEdit | None:
        """Return the last edit that stands, if there is one."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            found = tx.select(AppliedEdit, {"project": project, "undone_at": None}, ("-project", "-number"), limit=1)
        return next(iter(found), None)

    def get_inverse(self, project: str, number: int) -> Edit:
        """Return the edit that takes another one back, but for names; raise `ModelNotFoundError` if there is none."""
        missing = ModelNotFoundError(f"project {project!r} has no edit {number}")
        with self._shared.reading() as tx:
            require_project(tx, project)
            edit = require_one(tx, AppliedEdit, {"project": project, "number": number}, missing)
            former = tx.select(FormerRow, {"project": project, "number": number}, ("kind", "key"))
        return _inverse(edit, former)

    def apply(self, project: str, change: NamingChange, *, if_version: int) -> int:
        """Write names, and with them an edit, all at once; return the edit's number, 0 without one."""
        with self._shared.writing(project) as tx:
            conflicts.require_version(project, if_version, require_project(tx, project).version)
            return _write(tx, project, change)

    def apply_alone(self, project: str, work_out: Callable[[], NamingChange | None]) -> int:
        """Write names that are worked out while nobody else writes to the project; return the edit's number, 0 without one."""
        with self._shared.writing(project) as tx:
            change = work_out()
            return 0 if change is None else _write(tx, project, change)

    def raise_version(self, project: str) -> None:
        """Note that something has changed that names depend on and that no row has: previews of before are refused."""
        with self._shared.writing(project) as tx:
            raise_version(tx, project)

    def seal_edits(self, project: str) -> None:
        """Let no edit so far be undone any more: what undoing needs is deleted, and so are the notes and the names."""
        with self._shared.writing(project) as tx:
            for edit in tx.select(AppliedEdit, {"project": project, "can_undo": True}, ("number",)):
                _drop_former(tx, project, edit.number)
            tx.update("edits", {"project": project}, {"can_undo": False, "note": "", "renamed": None})
            raise_version(tx, project)


def _named_of(tx: Transaction, project: str, analysis_ids: Sequence[str] | None) -> list[NamedTracks]:
    among = None if analysis_ids is None else ("analysis_id", list(analysis_ids))
    return tx.select(NamedTracks, {"project": project, "edit": 0}, ("analysis_id",), among=among)


def _write(tx: Transaction, project: str, change: NamingChange) -> int:
    before = require_project(tx, project)
    embedders = require_analyses(tx, project, change.analysis_ids)
    conflicts.require_named(change)
    number = _last_number(tx, project) + 1 if change.edit is not None and change.undoes is None else 0
    if number and change.edit is not None:
        tx.insert([_applied(tx, project, number, change.edit)], AppliedEdit)
        _remember(tx, project, number, change)
    if change.undoes is not None:
        conflicts.require_last(project, change.undoes, _last_standing(tx, project))
    if change.edit is not None:
        _carry_out(tx, project, change.edit)
    conflicts.require_own_embedder(require_project(tx, project), [embedders[row.analysis_id] for row in change.named])
    _name(tx, project, change, number, before.version + 1)
    if change.undoes is not None:
        tx.update("edits", {"project": project, "number": change.undoes}, {"undone_at": time.time()})
        _drop_former(tx, project, change.undoes)
    raise_version(tx, project)
    if change.edit is not None:
        _log_edit(tx, before, number, change, change.edit)
    return number


def _log_edit(tx: Transaction, before: Project, number: int, change: NamingChange, edit: Edit) -> None:
    """Note who edits, and what was before and after; what is personal in it is in the edit's own row, which may be forgotten."""
    after = require_project(tx, before.name)
    facts = {
        name: {"before": was, "after": now}
        for name, was, now in (
            ("version", before.version, after.version),
            ("max_false_names", before.max_false_names, after.max_false_names),
            ("embedder", before.embedder, after.embedder),
        )
        if was != now
    }
    counts = {
        "corrections": len(edit.corrections),
        "withdrawn": len(edit.withdrawn),
        "faces": len(edit.faces),
        "removed": len(edit.removed),
        "strangers": len(edit.strangers),
        "videos": len(change.named),
    }
    action = "edit" if change.undoes is None else "undo"
    subject = str(number or change.undoes)
    log(tx, before.name, action, subject, cause=edit.cause, model=edit.model_version, **facts, **counts)


def raise_version(tx: Transaction, project: str) -> None:
    """Note that something has changed that names depend on."""
    tx.update("projects", {"name": project}, {"version": require_project(tx, project).version + 1})


def forget_names(tx: Transaction, project: str, where: Mapping[str, Any]) -> None:
    """Let analyses that are about to be deleted show no stranger any more, and note it if they were named."""
    found = [row["analysis_id"] for row in tx.find("analyses", {"project": project, **where}, columns=["analysis_id"])]
    among = ("analysis_id", found)
    if any(True for _ in tx.find("named_tracks", {"project": project}, among=among, columns=["edit"], limit=1)):
        free_analyses(tx, project, found)
        raise_version(tx, project)


def _applied(tx: Transaction, project: str, number: int, edit: Edit) -> AppliedEdit:
    before = require_project(tx, project)
    former = next((row["version"] for row in promotions(tx, project)), None)
    limit = before.max_false_names if edit.max_false_names is None else edit.max_false_names
    return AppliedEdit(
        project=project,
        number=number,
        cause=edit.cause,
        note=edit.note,
        version=before.version + 1,
        model_version=_named_by(edit, former),
        max_false_names=limit,
        former_model=former,
        former_max_false_names=before.max_false_names,
        former_embedder=before.embedder,
        created_at=time.time(),
        carried=tuple(edit.carried),
        renamed=edit.renamed,
    )


def _named_by(edit: Edit, former: str | None) -> str | None:
    if edit.promotion is Promotion.KEEP:
        return former
    return None if edit.promotion is Promotion.NONE else edit.model_version


def _remember(tx: Transaction, project: str, number: int, change: NamingChange) -> None:
    """Keep the rows that an edit changes, as they are before it."""
    edit = change.edit
    if edit is None:
        return
    corrections = [row.correction_id for row in edit.corrections]
    tracks = {(row.analysis_id, row.track_id) for row in edit.corrections}
    # What new corrections replace is not known before: all of their tracks.
    beside = [
        row.correction_id
        for row in tx.select(
            Correction, {"project": project}, among=("analysis_id", sorted({analysis_id for analysis_id, _ in tracks}))
        )
        if (row.analysis_id, row.track_id) in tracks
    ]
    strangers = [row.stranger_id for row in (*edit.strangers, *change.strangers)]
    _keep(tx, project, number, "correction", {*corrections, *edit.withdrawn, *beside})
    _keep(tx, project, number, "face", {*(face.face_id for face in edit.faces), *edit.removed})
    _keep(tx, project, number, "stranger", set(strangers))


def _keep(tx: Transaction, project: str, number: int, kind: str, keys: Iterable[str]) -> None:
    row_type, key = _ROWS[kind]
    wanted = sorted(keys)
    found = {getattr(row, key): row for row in tx.select(row_type, {"project": project}, among=(key, wanted))}
    if kind == "stranger":  # a new one stays, and nothing is to be known of it
        wanted = [one for one in wanted if one in found]
    rows = [FormerRow(project, number, kind, one, row_to_json(found[one]) if one in found else None) for one in wanted]
    tx.insert(rows, FormerRow)


def _inverse(edit: AppliedEdit, former: Sequence[FormerRow]) -> Edit:
    rows: dict[str, list[Any]] = {kind: [] for kind in _ROWS}
    lost: dict[str, list[str]] = {kind: [] for kind in _ROWS}
    for one in former:
        if one.row is None:
            lost[one.kind].append(one.key)
        else:
            rows[one.kind].append(row_from_json(_ROWS[one.kind][0], one.row))
    inverse = Edit(
        "undo",
        corrections=rows["correction"],
        withdrawn=lost["correction"],
        faces=rows["face"],
        removed=lost["face"],
        # A stranger whom it brought stays, without tracks: numbers are never given twice.
        strangers=rows["stranger"],
        max_false_names=edit.former_max_false_names,
        embedder=edit.former_embedder,
    )
    if edit.former_model == edit.model_version:
        return inverse
    if edit.former_model is None:
        return replace(inverse, promotion=Promotion.NONE)
    return replace(inverse, promotion=Promotion.GO_BACK, model_version=edit.former_model)


def _carry_out(tx: Transaction, project: str, edit: Edit) -> None:
    tx.delete("corrections", {"project": project}, ("correction_id", list(edit.withdrawn)))
    put_corrections(tx, project, edit.corrections)
    tx.delete("faces", {"project": project}, ("face_id", list(edit.removed)))
    tx.put(edit.faces, Face)
    tx.put(edit.strangers, Stranger)
    values: dict[str, Any] = {}
    if edit.embedder is not None:
        values["embedder"] = edit.embedder
    if edit.max_false_names is not None or edit.cause == "undo":
        values["max_false_names"] = edit.max_false_names
    if values:
        tx.update("projects", {"name": project}, values)
    if edit.promotion is Promotion.NONE:
        tx.delete("promotions", {"project": project})
    elif edit.model_version is not None and edit.promotion is not Promotion.KEEP:
        (_promote_again if edit.promotion is Promotion.GO_BACK else _promote)(tx, project, edit.model_version)


def _name(tx: Transaction, project: str, change: NamingChange, number: int, version: int) -> None:
    among = ("analysis_id", change.analysis_ids)
    current = {"project": project, "edit": 0}
    if number:
        tx.update("named_tracks", current, {"edit": number}, among)
    else:
        tx.delete("named_tracks", current, among)
    tx.insert((replace(row, edit=0, version=row.version or version) for row in change.named), NamedTracks)
    tx.delete("appearances", {"project": project}, ("analysis_id", list(change.unnamed)))
    tx.exchange(change.lost, change.appearances)
    tx.put(change.strangers, Stranger)
    if change.unnamed:
        free_analyses(tx, project, change.unnamed)
    move_stranger_tracks(tx, project, change.freed, change.stranger_tracks)


def _drop_former(tx: Transaction, project: str, number: int) -> None:
    tx.delete("named_tracks", {"project": project, "edit": number})
    tx.delete("former_rows", {"project": project, "number": number})


def _last_number(tx: Transaction, project: str) -> int:
    found = tx.find("edits", {"project": project}, ("-number",), columns=["number"], limit=1)
    return next((row["number"] for row in found), 0)


def _last_standing(tx: Transaction, project: str) -> int | None:
    found = tx.find("edits", {"project": project, "undone_at": None}, ("-number",), columns=["number"], limit=1)
    return next((row["number"] for row in found), None)


def _promote(tx: Transaction, project: str, version: str) -> None:
    """Let a version name from now on, unless it does; raise unless there is one, for the project's embedder."""
    conflicts.require_embedder(require_model(tx, project, version), require_project(tx, project).embedder)
    if version not in [row["version"] for row in promotions(tx, project)[:1]]:
        tx.append("promotions", {"project": project, "version": version})


def _promote_again(tx: Transaction, project: str, version: str) -> None:
    last = promotions(tx, project)
    if version in [row["version"] for row in last[1:]] and version != last[0]["version"]:
        tx.delete("promotions", {"project": project, "position": last[0]["position"]})
    _promote(tx, project, version)
