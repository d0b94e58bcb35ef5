"""Which revision names which analysis, in MongoDB."""

from __future__ import annotations

from collections.abc import Sequence

from facerec_models.errors import ModelNotFoundError, VideoNotFoundError
from serving.store.mongo_database import MongoDatabase, Transaction, require_project
from serving.store.rows import ModelVersion, Revision


class MongoNaming:
    """The part of a `Store` that is about revisions."""

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

    def assign_revision(self, project: str, revision: str, analysis_ids: Sequence[str]) -> None:
        """Let a revision name these analyses, remembering which one did before."""
        chosen = {"project": project, "analysis_id": {"$in": list(analysis_ids)}}
        with self._database.writing(project) as tx:
            require_revision(tx, project, revision)
            require_analyses(tx, project, analysis_ids)
            former = [
                {"project": project, "analysis_id": row["analysis_id"], "revision": row["revision"]}
                for row in tx.find("analyses", {**chosen, "revision": {"$nin": [None, revision]}})
            ]
            tx.insert("former_revisions", [{**row, "position": tx.next_position()} for row in former])
            tx.update("analyses", chosen, {"revision": revision})

    def undo_revision(self, project: str, revision: str) -> list[str]:
        """Give analyses that `revision` names back to the one before; return their ids. Newly identified ones stay."""
        undone = []
        with self._database.writing(project) as tx:
            require_revision(tx, project, revision)
            named = tx.find("analyses", {"project": project, "revision": revision}, ("created_at", "analysis_id"))
            for row in list(named):
                key = {"project": project, "analysis_id": row["analysis_id"]}
                for former in list(tx.find("former_revisions", key, ("-position",), limit=1)):
                    tx.update("analyses", key, {"revision": former["revision"]})
                    tx.delete("former_revisions", {"_id": former["_id"]})
                    undone.append(row["analysis_id"])
        return undone


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
    where = {"project": project, "analysis_id": {"$in": list(analysis_ids)}}
    found = {row["analysis_id"]: row["part"] for row in tx.find("analyses", where, columns=["analysis_id", "part"])}
    for analysis_id in analysis_ids:
        if analysis_id not in found:
            raise VideoNotFoundError(f"project {project!r} has no analysis {analysis_id!r}")
    return found
