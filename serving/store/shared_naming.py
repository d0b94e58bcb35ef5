"""How tracks are named: revisions, their application to the archive, and promotions; the same for every database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from facerec_models.errors import ModelNotFoundError
from facerec_models.types import FloatArray
from serving.store import conflicts
from serving.store.codecs import columns_of, decode_row
from serving.store.lookups import (
    require_analyses,
    require_model,
    require_one,
    require_own_embedder,
    require_project,
    require_revision,
)
from serving.store.naming_rows import (
    AppearanceRow,
    Application,
    Correction,
    EditInverse,
    EditRows,
    Naming,
    ProjectState,
    Revision,
)
from serving.store.rows import Face, FaceStatus
from serving.store.shared_corrections import put_corrections, put_strangers
from serving.store.transaction import Database, Filter, Transaction

_ALL_BUT_UNDO = [name for name in columns_of(Application) if name != "undo"]


class SharedNaming:
    """The part of a `Store` that is about revisions and applications."""

    _shared: Database

    def put_revision(self, revision: Revision) -> None:
        """Add a revision; the same id again changes nothing."""
        with self._shared.writing(revision.project) as tx:
            require_model(tx, revision.project, revision.model_version)
            tx.put_new(revision)

    def get_revision(self, project: str, revision: str) -> Revision:
        """Return a revision; raise `ModelNotFoundError` if there is none."""
        with self._shared.reading() as tx:
            return require_revision(tx, project, revision)

    def list_revisions(self, project: str) -> list[Revision]:
        """Return all revisions, oldest first."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return tx.select(Revision, {"project": project}, ("created_at", "revision"))

    def assign_revision(
        self, project: str, revision: str, analysis_ids: Sequence[str], appearances: Sequence[AppearanceRow]
    ) -> None:
        """Let a revision name these analyses, with all their appearances in place of those before."""
        with self._shared.writing(project) as tx:
            require_revision(tx, project, revision)
            require_analyses(tx, project, analysis_ids)
            require_own_embedder(tx, project, analysis_ids)
            _name(tx, project, dict.fromkeys(analysis_ids, revision), appearances)

    def apply_naming(self, project: str, naming: Naming, application: Application) -> None:
        """Name the archive again, and record it as the project's next application, all at once."""
        with self._shared.writing(project) as tx:
            found = _require_unchanged(tx, project, naming)
            conflicts.require_none_new(project, naming, found)
            if naming.state is not None:
                conflicts.require_state(project, naming.state, _state(tx, project))
            conflicts.require_next(project, application.number, _last_number(tx, {"project": project}) or 0)
            _write(tx, project, naming)
            if naming.edit is not None:
                _edit(tx, project, naming.edit)
            if naming.promoted is not None:
                (_promote_again if naming.goes_back else promote)(tx, project, naming.promoted)
            tx.insert([application], Application)

    def undo_naming(self, project: str, naming: Naming, number: int, at: float) -> None:
        """Write what was before an application, and mark that one as undone, all at once."""
        with self._shared.writing(project) as tx:
            found = _require_unchanged(tx, project, naming)
            if naming.state is not None:
                conflicts.require_none_new(project, naming, found)
                conflicts.require_state(project, naming.state, _state(tx, project))
            conflicts.require_last(project, number, _last_number(tx, {"project": project, "undone_at": None}))
            _write(tx, project, naming)
            if naming.promoted is not None:
                _promote_again(tx, project, naming.promoted)
            if naming.promotes_none:
                tx.delete("promotions", {"project": project})
            tx.update("applications", {"project": project, "number": number}, {"undone_at": at, "undo": None})

    def list_applications(self, project: str) -> list[Application]:
        """Return all applications, the first one first; the `undo` of those that can be undone is empty."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            # What undoing takes may be megabytes for each.
            found = list(tx.find("applications", {"project": project}, ("number",), columns=_ALL_BUT_UNDO))
            final = tx.find("applications", {"project": project, "undo": None}, columns=["number"])
            numbers = {row["number"] for row in final}
        rows = [decode_row(Application, {**row, "undo": None}) for row in found]
        return [row if row.number in numbers else replace(row, undo={}) for row in rows]

    def get_application(self, project: str, number: int) -> Application:
        """Return an application with what undoing it takes; raise `ModelNotFoundError` if there is none."""
        missing = ModelNotFoundError(f"project {project!r} has no application {number}")
        with self._shared.reading() as tx:
            require_project(tx, project)
            return require_one(tx, Application, {"project": project, "number": number}, missing)

    def seal_applications(self, project: str) -> None:
        """Let no application so far be undone any more: what undoing needs is deleted, and so are the notes."""
        with self._shared.writing(project) as tx:
            tx.update("applications", {"project": project}, {"undo": None, "note": ""})


def _require_unchanged(tx: Transaction, project: str, naming: Naming) -> dict[str, str | None]:
    """Return which revision names each analysis of the project."""
    conflicts.require_same_analyses(naming)
    require_analyses(tx, project, naming.expected)
    for revision in {revision for revision in naming.revisions.values() if revision is not None}:
        require_revision(tx, project, revision)
    columns = ("analysis_id", "revision")
    found = {row["analysis_id"]: row["revision"] for row in tx.find("analyses", {"project": project}, columns=columns)}
    conflicts.require_unchanged(project, naming, found, tx.count("strangers", {"project": project}))
    return found


def _write(tx: Transaction, project: str, naming: Naming) -> None:
    _name(tx, project, naming.revisions, naming.appearances)
    put_strangers(tx, project, naming.strangers, naming.stranger_tracks, list(naming.revisions))
    if naming.inverse is not None:
        _revert(tx, project, naming.inverse)
    if naming.embedder is not None:
        tx.update("projects", {"name": project}, {"embedder": naming.embedder})
    set_vectors(tx, project, naming.embedder, naming.vectors)


def set_vectors(tx: Transaction, project: str, embedder: str | None, vectors: Mapping[str, FloatArray]) -> None:
    """Give faces that are there their vectors of an embedder."""
    for face_id, vector in vectors.items():
        tx.update("faces", {"project": project, "face_id": face_id}, {"embedder": embedder, "embedding": vector})


def _name(
    tx: Transaction, project: str, revisions: Mapping[str, str | None], appearances: Sequence[AppearanceRow]
) -> None:
    conflicts.require_named(revisions, appearances)
    tx.delete("appearances", {"project": project}, ("analysis_id", list(revisions)))
    named: dict[str | None, list[str]] = {}
    for analysis_id, revision in revisions.items():
        named.setdefault(revision, []).append(analysis_id)
    for revision, analysis_ids in named.items():
        tx.update("analyses", {"project": project}, {"revision": revision}, ("analysis_id", analysis_ids))
    tx.insert(appearances, AppearanceRow)


def _edit(tx: Transaction, project: str, edit: EditRows) -> None:
    put_corrections(tx, project, edit.corrections)
    tx.put(edit.faces, Face)
    disabled = {"status": FaceStatus.DISABLED, "reason": edit.reason, "by_hand": True}
    tx.update("faces", {"project": project}, disabled, ("face_id", edit.disabled))


def _revert(tx: Transaction, project: str, inverse: EditInverse) -> None:
    tx.delete("corrections", {"project": project}, ("correction_id", inverse.corrections))
    tx.delete("faces", {"project": project}, ("face_id", inverse.faces))
    tx.put(inverse.replaced, Correction)
    for status, reasons in ((FaceStatus.TAKEN, inverse.disabled), (FaceStatus.DISABLED, inverse.enabled)):
        for face_id, reason in reasons.items():
            tx.update("faces", {"project": project, "face_id": face_id}, {"status": status, "reason": reason})


def _last_number(tx: Transaction, where: Filter) -> int | None:
    return next(
        (row["number"] for row in tx.find("applications", where, ("-number",), columns=["number"], limit=1)), None
    )


def _state(tx: Transaction, project: str) -> ProjectState:
    last = _last_number(tx, {"project": project}) or 0
    standing = _last_number(tx, {"project": project, "undone_at": None}) or 0
    promoted = next((row["version"] for row in promotions(tx, project)), None)
    return ProjectState(last, standing, correction_ids(tx, project), promoted)


def correction_ids(tx: Transaction, project: str) -> frozenset[str]:
    """Return the ids of all corrections."""
    found = tx.find("corrections", {"project": project}, columns=["correction_id"])
    return frozenset(row["correction_id"] for row in found)


def promote(tx: Transaction, project: str, version: str) -> None:
    """Let a version name from now on, unless it does; raise unless there is one, for the project's embedder."""
    conflicts.require_embedder(require_model(tx, project, version), require_project(tx, project).embedder)
    if version not in [row["version"] for row in promotions(tx, project)[:1]]:
        tx.append("promotions", {"project": project, "version": version})


def _promote_again(tx: Transaction, project: str, version: str) -> None:
    last = promotions(tx, project)
    if version in [row["version"] for row in last[1:]] and version != last[0]["version"]:
        tx.delete("promotions", {"project": project, "position": last[0]["position"]})
    promote(tx, project, version)


def promotions(tx: Transaction, project: str) -> list[Mapping[str, Any]]:
    """Return the two promotions that were last, the present one first."""
    columns = ("position", "version")
    return list(tx.find("promotions", {"project": project}, ("-position",), columns=columns, limit=2))
