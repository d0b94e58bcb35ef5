"""How tracks are named, in MongoDB: revisions, and their application to the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from facerec_models.errors import ModelNotFoundError, VideoNotFoundError
from facerec_models.types import FloatArray
from serving.store import conflicts
from serving.store.codecs import decode_row, encode, encode_row
from serving.store.mongo.corrections import put_corrections
from serving.store.mongo.database import Document, MongoDatabase, Transaction, require_present, require_project
from serving.store.naming_rows import (
    AppearanceRow,
    Application,
    Basis,
    Correction,
    Naming,
    News,
    Revision,
    Stranger,
    StrangerTrack,
    Words,
)
from serving.store.rows import Face, FaceStatus, ModelVersion

_ALL_BUT_UNDO = [field.name for field in fields(Application) if field.name != "undo"]


class MongoNaming:
    """The part of a `Store` that is about revisions and applications."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    def put_revision(self, revision: Revision) -> None:
        """Add a revision; the same id again changes nothing."""
        with self._database.writing(revision.project) as tx:
            require_model(tx, revision.project, revision.model_version)
            tx.put_new(revision)

    def get_revision(self, project: str, revision: str) -> Revision:
        """Return a revision; raise `ModelNotFoundError` if there is none."""
        with self._database.reading() as tx:
            return require_revision(tx, project, revision)

    def list_revisions(self, project: str) -> list[Revision]:
        """Return all revisions, oldest first."""
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.select(Revision, {"project": project}, ("created_at", "revision"))

    def assign_revision(
        self, project: str, revision: str, analysis_ids: Sequence[str], appearances: Sequence[AppearanceRow]
    ) -> None:
        """Let a revision name these analyses, with all their appearances in place of those before."""
        with self._database.writing(project) as tx:
            require_revision(tx, project, revision)
            require_analyses(tx, project, analysis_ids)
            require_present(tx, project, analysis_ids)
            _name(tx, project, dict.fromkeys(analysis_ids, revision), appearances)

    def apply_naming(self, project: str, naming: Naming, application: Application) -> None:
        """Name the archive again, and record it as the project's next application, all at once."""
        with self._database.writing(project) as tx:
            found = _require_unchanged(tx, project, naming)
            conflicts.require_none_new(project, naming, found)
            if naming.basis is not None:
                conflicts.require_basis(project, naming.basis, _basis(tx, project))
            conflicts.require_next(project, application.number, _last_number(tx, {"project": project}) or 0)
            _write(tx, project, naming)
            if naming.news is not None:
                _take_in(tx, project, naming.news)
            if naming.promoted is not None:
                (_promote_again if naming.goes_back else promote)(tx, project, naming.promoted)
            tx.insert("applications", [encode_row(application)])

    def undo_naming(self, project: str, naming: Naming, number: int, at: float) -> None:
        """Write what was before an application, and mark that one as undone, all at once."""
        with self._database.writing(project) as tx:
            found = _require_unchanged(tx, project, naming)
            if naming.basis is not None:
                conflicts.require_none_new(project, naming, found)
                conflicts.require_basis(project, naming.basis, _basis(tx, project))
            conflicts.require_last(project, number, _last_number(tx, {"project": project, "undone_at": None}))
            _write(tx, project, naming)
            if naming.promoted is not None:
                _promote_again(tx, project, naming.promoted)
            if naming.promotes_none:
                tx.delete("promotions", {"project": project})
            tx.update("applications", {"project": project, "number": number}, {"undone_at": at, "undo": None})

    def list_applications(self, project: str) -> list[Application]:
        """Return all applications, the first one first; the `undo` of those that can be undone is empty."""
        with self._database.reading() as tx:
            require_project(tx, project)
            # What undoing takes may be megabytes for each.
            undoable = tx.find("applications", {"project": project, "undo": {"$ne": None}}, columns=["number"])
            numbers = {row["number"] for row in undoable}
            found = list(tx.find("applications", {"project": project}, ("number",), columns=_ALL_BUT_UNDO))
        return [decode_row(Application, {**row, "undo": "{}" if row["number"] in numbers else None}) for row in found]

    def get_application(self, project: str, number: int) -> Application:
        """Return an application with what undoing it takes; raise `ModelNotFoundError` if there is none."""
        missing = ModelNotFoundError(f"project {project!r} has no application {number}")
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.select_one(Application, {"project": project, "number": number}, missing)

    def seal_applications(self, project: str) -> None:
        """Let no application so far be undone any more: what undoing needs is deleted, and so are the notes."""
        with self._database.writing(project) as tx:
            tx.update("applications", {"project": project}, {"undo": None, "note": ""})


def _require_unchanged(tx: Transaction, project: str, naming: Naming) -> dict[str, str | None]:
    """Return which revision names each analysis of the project."""
    conflicts.require_same_analyses(naming)
    found = {
        row["analysis_id"]: row["revision"]
        for row in tx.find("analyses", {"project": project}, columns=["analysis_id", "revision"])
    }
    for analysis_id in naming.expected:
        if analysis_id not in found:
            raise VideoNotFoundError(f"project {project!r} has no analysis {analysis_id!r}")
    for revision in {revision for revision in naming.revisions.values() if revision is not None}:
        require_revision(tx, project, revision)
    conflicts.require_unchanged(project, naming, found, tx.count("strangers", {"project": project}))
    return found


def _write(tx: Transaction, project: str, naming: Naming) -> None:
    _name(tx, project, naming.revisions, naming.appearances)
    tx.put(naming.strangers, Stranger)
    tx.delete("stranger_tracks", {"project": project}, ("analysis_id", list(naming.revisions)))
    tx.put(naming.stranger_tracks, StrangerTrack)
    if naming.taken_back is not None:
        _take_back(tx, project, naming.taken_back)
    if naming.embedder is not None:
        tx.update("projects", {"name": project}, {"embedder": naming.embedder})
    for analysis_id, at in naming.touched.items():
        tx.update("analyses", {"project": project, "analysis_id": analysis_id}, {"created_at": at})
    set_vectors(tx, project, naming.embedder, naming.vectors)


def set_vectors(tx: Transaction, project: str, embedder: str | None, vectors: Mapping[str, FloatArray]) -> None:
    """Give faces that are there their vectors of an embedder."""
    for face_id, vector in vectors.items():
        values = {"embedder": embedder, "embedding": encode("embedding", vector)}
        tx.update("faces", {"project": project, "face_id": face_id}, values)


def _name(
    tx: Transaction, project: str, revisions: Mapping[str, str | None], appearances: Sequence[AppearanceRow]
) -> None:
    conflicts.require_named(revisions, appearances)
    for table in ("appearances", "unindexed_analyses"):
        tx.delete(table, {"project": project}, ("analysis_id", list(revisions)))
    named: dict[str | None, list[str]] = {}
    for analysis_id, revision in revisions.items():
        named.setdefault(revision, []).append(analysis_id)
    for revision, analysis_ids in named.items():
        tx.update("analyses", {"project": project}, {"revision": revision}, ("analysis_id", analysis_ids))
    tx.insert("appearances", [encode_row(row) for row in appearances])


def _take_back(tx: Transaction, project: str, words: Words) -> None:
    tx.delete("corrections", {"project": project}, ("correction_id", words.corrections))
    tx.delete("faces", {"project": project}, ("face_id", words.faces))
    tx.put(words.replaced, Correction)
    for face_id, reason in words.disabled.items():
        enabled = {"status": str(FaceStatus.TAKEN), "reason": reason}
        tx.update("faces", {"project": project, "face_id": face_id}, enabled)
    for face_id, reason in words.enabled.items():
        disabled = {"status": str(FaceStatus.DISABLED), "reason": reason}
        tx.update("faces", {"project": project, "face_id": face_id}, disabled)


def _take_in(tx: Transaction, project: str, news: News) -> None:
    put_corrections(tx, project, news.corrections)
    tx.put(news.faces, Face)
    disabled = {"status": str(FaceStatus.DISABLED), "reason": news.reason, "by_hand": True}
    tx.update("faces", {"project": project}, disabled, ("face_id", list(news.disabled)))


def _last_number(tx: Transaction, where: Document) -> int | None:
    return next((row["number"] for row in tx.find("applications", where, ("-number",), limit=1)), None)


def _basis(tx: Transaction, project: str) -> Basis:
    last = _last_number(tx, {"project": project}) or 0
    standing = _last_number(tx, {"project": project, "undone_at": None}) or 0
    promoted = next((row["version"] for row in promotions(tx, project)), None)
    return Basis(last, standing, said_ids(tx, project), promoted)


def said_ids(tx: Transaction, project: str) -> frozenset[str]:
    """Return the ids of all corrections."""
    said = tx.find("corrections", {"project": project}, columns=["correction_id"])
    return frozenset(row["correction_id"] for row in said)


def promote(tx: Transaction, project: str, version: str) -> None:
    """Let a version name from now on, unless it does; raise unless there is one, for the project's embedder."""
    conflicts.require_embedder(require_model(tx, project, version), require_project(tx, project).embedder)
    if version not in [row["version"] for row in promotions(tx, project)[:1]]:
        tx.insert("promotions", [{"position": tx.next_position(), "project": project, "version": version}])


def _promote_again(tx: Transaction, project: str, version: str) -> None:
    last = promotions(tx, project)
    if version in [row["version"] for row in last[1:]] and version != last[0]["version"]:
        tx.delete("promotions", {"_id": last[0]["_id"]})
    promote(tx, project, version)


def promotions(tx: Transaction, project: str) -> list[Document]:
    """Return the two promotions that were last, the present one first."""
    return list(tx.find("promotions", {"project": project}, ("-position",), limit=2))


def require_model(tx: Transaction, project: str, version: str) -> ModelVersion:
    """Return a model version; raise `ModelNotFoundError` if there is none."""
    missing = ModelNotFoundError(f"project {project!r} has no model {version!r}")
    return tx.select_one(ModelVersion, {"project": project, "version": version}, missing)


def require_revision(tx: Transaction, project: str, revision: str) -> Revision:
    """Return a revision; raise `ModelNotFoundError` if there is none."""
    require_project(tx, project)
    missing = ModelNotFoundError(f"project {project!r} has no revision {revision!r}")
    return tx.select_one(Revision, {"project": project, "revision": revision}, missing)


def require_analyses(tx: Transaction, project: str, analysis_ids: Sequence[str]) -> dict[str, str]:
    """Return the part of each analysis; raise `VideoNotFoundError` unless the project has all these analyses."""
    rows = tx.find(
        "analyses", {"project": project}, among=("analysis_id", analysis_ids), columns=["analysis_id", "part"]
    )
    found = {row["analysis_id"]: row["part"] for row in rows}
    for analysis_id in analysis_ids:
        if analysis_id not in found:
            raise VideoNotFoundError(f"project {project!r} has no analysis {analysis_id!r}")
    return found
