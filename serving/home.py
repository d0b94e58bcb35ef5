"""Where files are: pictures, crops, models and uploads below one folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below the home. Names of projects and ids are checked where they are made; see `check_name`."""

    root: Path

    @property
    def weights(self) -> Path:
        """Downloaded network weights."""
        return self.root / "weights"

    @property
    def uploads(self) -> Path:
        """Videos that were sent to the service."""
        return self.root / "uploads"

    def upload(self, sha256: str, suffix: str) -> Path:
        """Return the file of an upload: the same for the same content and kind of file, whoever sent it."""
        return self.uploads / f"{sha256}{suffix.lower()}"

    def project(self, project: str) -> Path:
        """Everything of one project."""
        return self.root / "projects" / project

    def pictures(self, project: str, person_id: str) -> Path:
        """Return the folder of the pictures that were collected of a person."""
        return self.project(project) / "pictures" / person_id

    def face_crop(self, project: str, face_id: str) -> Path:
        """Return the file of the aligned face of an enrolled picture."""
        return self.project(project) / "faces" / f"{face_id}.jpg"

    def model(self, project: str, version: str) -> Path:
        """Return the folder of a trained model."""
        return self.project(project) / "models" / version

    def job_log(self, project: str, job_id: str) -> Path:
        """Return the file of what a job said while it ran."""
        return self.project(project) / "jobs" / f"{job_id}.log"

    def job_parts(self, project: str, job_id: str) -> Path:
        """Return the folder of what a job has done of its segments; it goes when the job has ended."""
        return self.project(project) / "jobs" / job_id

    def cohort(self, project: str, embedder: str) -> Path:
        """Return the file of the strangers that were imported into a project."""
        return self.project(project) / "cohorts" / f"{embedder}.npz"

    def analysis(self, project: str, analysis_id: str) -> Path:
        """Return the folder of an analysis' crops."""
        return self.project(project) / "analyses" / analysis_id

    def track_crop(self, project: str, analysis_id: str, track_id: int, k: int) -> Path:
        """Return the file of the k-th best aligned face of a track."""
        return self.analysis(project, analysis_id) / f"{track_id}-{k}.jpg"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_tree(path: Path) -> None:
    """Remove a folder with everything in it, if it is there."""
    if path.exists():
        shutil.rmtree(path)
