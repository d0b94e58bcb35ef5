"""How tracks are named, in MongoDB: revisions, and their application to the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facerec_models.errors import ConflictError, ModelNotFoundError, VideoNotFoundError
from serving.store.database import encode_row
from serving.store.mongo_database import MongoDatabase, Transaction, require_project
from serving.store.rows import AppearanceRow, Application, ModelVersion, Naming, Revision, Stranger, StrangerTrack


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
            _name(tx, project, dict.fromkeys(analysis_ids, revision), appearances)

    def apply_naming(self, project: str, naming: Naming, application: Application) -> None:
        """Name the archive again, and record it as the project's next application, all at once."""
        with self._database.writing(project) as tx:
            _require_unchanged(tx, project, naming)
            found = tx.select(Application, {"project": project}, ("-number",), limit=1)
            last = found[0].number if found else 0
            if application.number != last + 1:
                raise ConflictError(f"project {project!r} was named again meanwhile, {last} times by now: look again")
            _write(tx, project, naming)
            if naming.promoted is not None:
                promote(tx, project, naming.promoted)
            tx.insert("applications", [encode_row(application)])

    def undo_naming(self, project: str, naming: Naming, number: int, at: float) -> None:
        """Write what was before an application, and mark that one as undone, all at once."""
        with self._database.writing(project) as tx:
            _require_unchanged(tx, project, naming)
            found = tx.select(Application, {"project": project, "undone_at": None}, ("-number",), limit=1)
            last = found[0].number if found else None
            if last != number:
                raise ConflictError(f"application {number} of project {project!r} is not the last one, which is {last}")
            _write(tx, project, naming)
            if naming.promoted is not None:
                _promote_again(tx, project, naming.promoted)
            tx.update("applications", {"project": project, "number": number}, {"undone_at": at, "undo": None})

    def list_applications(self, project: str) -> list[Application]:
        """Return all applications, the first one first."""
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.select(Application, {"project": project}, ("number",))

    def seal_applications(self, project: str) -> None:
        """Let no application so far be undone any more: what undoing needs is deleted, and so are the notes."""
        with self._database.writing(project) as tx:
            tx.update("applications", {"project": project}, {"undo": None, "note": ""})


def promote(tx: Transaction, project: str, version: str) -> None:
    """Let a version be the promoted one, if it is not yet."""
    require_model(tx, project, version)
    if version not in _promotions(tx, project)[:1]:
        tx.insert("promotions", [{"position": tx.next_position(), "project": project, "version": version}])


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
    among = ("analysis_id", list(analysis_ids))
    rows = tx.find("analyses", {"project": project}, among=among, columns=["analysis_id", "part"])
    found = {row["analysis_id"]: row["part"] for row in rows}
    for analysis_id in analysis_ids:
        if analysis_id not in found:
            raise VideoNotFoundError(f"project {project!r} has no analysis {analysis_id!r}")
    return found


def _require_unchanged(tx: Transaction, project: str, naming: Naming) -> None:
    if naming.expected.keys() != naming.revisions.keys():
        raise ValueError("every analysis that is named needs the revision that is expected, and no other one does")
    require_analyses(tx, project, list(naming.expected))
    for revision in {revision for revision in naming.revisions.values() if revision is not None}:
        require_revision(tx, project, revision)
    rows = tx.find("analyses", {"project": project}, columns=["analysis_id", "revision"])
    found = {row["analysis_id"]: row["revision"] for row in rows}
    changed = [analysis_id for analysis_id, revision in naming.expected.items() if found[analysis_id] != revision]
    if changed:
        raise ConflictError(f"{len(changed)} analyses of project {project!r} were named meanwhile: look again")
    count = tx.count("strangers", {"project": project})
    if count != naming.known:
        raise ConflictError(f"project {project!r} has {count} strangers by now, not {naming.known}: look again")


def _write(tx: Transaction, project: str, naming: Naming) -> None:
    _name(tx, project, naming.revisions, naming.appearances)
    tx.put(naming.strangers, Stranger)
    tx.delete("stranger_tracks", {"project": project}, ("analysis_id", list(naming.revisions)))
    tx.put(naming.stranger_tracks, StrangerTrack)


def _name(
    tx: Transaction, project: str, revisions: Mapping[str, str | None], appearances: Sequence[AppearanceRow]
) -> None:
    strange = {row.analysis_id for row in appearances} - revisions.keys()
    if strange:
        raise ValueError(f"appearances of {', '.join(sorted(strange))}, which is not named")
    for table in ("appearances", "unindexed_analyses"):
        tx.delete(table, {"project": project}, ("analysis_id", list(revisions)))
    for revision in set(revisions.values()):
        named = [analysis_id for analysis_id, name in revisions.items() if name == revision]
        tx.update("analyses", {"project": project}, {"revision": revision}, ("analysis_id", named))
    tx.insert("appearances", [encode_row(row) for row in appearances])


def _promotions(tx: Transaction, project: str) -> list[str]:
    """Return the two versions that were promoted last, the present one first."""
    return [row["version"] for row in tx.find("promotions", {"project": project}, ("-position",), limit=2)]


def _promote_again(tx: Transaction, project: str, version: str) -> None:
    promoted = _promotions(tx, project)
    if version in promoted[1:] and version not in promoted[:1]:
        (present,) = tx.find("promotions", {"project": project}, ("-position",), limit=1)
        tx.delete("promotions", {"_id": present["_id"]})
    else:
        promote(tx, project, version)
