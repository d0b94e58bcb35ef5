"""Where files are: pictures, crops, models and uploads below one folder, or crops and models in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facerec_models.files import AnyPath, open_files


@dataclass(frozen=True, slots=True)
class Files:
    """Paths below the home. Names of projects and ids are checked where they are made; see `check_name`.

    Parameters
    ----------
    root : Path
        What must be on this machine: the embedded store, uploads, renditions, weights, collected pictures, logs.
    shared : Path or RemotePath, optional
        What all nodes share: crops, models, cohorts, parts of jobs. By default the home.
    """

    root: Path
    shared: AnyPath | None = None

    @classmethod
    def at(cls, root: Path, files: str | None) -> Files:
        """Return the home at a folder, with shared files at an address; see `open_files`."""
        return cls(root.resolve(), None if files is None else open_files(files))

    @property
    def shared_root(self) -> AnyPath:
        """Where shared files are."""
        return self.root if self.shared is None else self.shared

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

    @property
    def renditions(self) -> Path:
        """Videos as browsers play them."""
        return self.root / "renditions"

    def rendition(self, sha256: str, stream: int) -> Path:
        """Return the file of the rendition of a content's picture track: the same for all projects."""
        return self.renditions / f"{sha256}-{stream}.mp4"

    def still(self, sha256: str, stream: int | None, analysis_id: str | None) -> Path:
        """Return the file of the picture that a video is known by, as its analysis chose it."""
        return self.renditions / f"{sha256}-{'main' if stream is None else stream}-{analysis_id or 'unseen'}.jpg"

    def copies(self, sha256: str, suffix: str) -> set[Path]:
        """Return where the home may have a video's file: among the uploads, and among what was fetched."""
        return {self.upload(sha256, suffix), self.media / f"{sha256}{suffix}"}

    def project(self, project: str) -> Path:
        """Everything of one project."""
        return self.root / "projects" / project

    def pictures(self, project: str, person_id: str) -> Path:
        """Return the folder of the pictures that were collected of a person."""
        return self.project(project) / "pictures" / person_id

    def project_files(self, project: str) -> AnyPath:
        """Everything shared of one project."""
        return self.shared_root / "projects" / project

    @property
    def media(self) -> Path:
        """The folder of videos that were fetched."""
        return self.root / "media"

    def face_crop(self, project: str, face_id: str) -> AnyPath:
        """Return the file of the aligned face of an enrolled picture."""
        return self.project_files(project) / "faces" / f"{face_id}.jpg"

    def enrolment_mark(self, project: str, name: str) -> AnyPath:
        """Return a file that is there as long as face files of an enrolment may have no rows yet."""
        return self.project_files(project) / "enrolments" / name

    def model(self, project: str, version: str) -> AnyPath:
        """Return the folder of a trained model."""
        return self.shared_root / self.model_name(project, version)

    def model_name(self, project: str, version: str) -> str:
        """Return where among the shared files a model is."""
        return f"projects/{project}/models/{version}"

    def truths(self, project: str) -> AnyPath:
        """Return the folder of who really is in videos; see `serving.archive.learning.evaluation_set`."""
        return self.project_files(project) / "truth"

    def truth(self, project: str, sha256: str) -> AnyPath:
        """Return the file of who really is in a video of this content."""
        return self.truths(project) / f"{sha256}.json"

    def job_log(self, project: str, job_id: str) -> Path:
        """Return the file of a job's log."""
        return self.project(project) / "jobs" / f"{job_id}.log"

    def job_parts(self, project: str, job_id: str) -> AnyPath:
        """Return the folder of what a job has done of its segments; it goes when the job has ended."""
        return self.project_files(project) / "jobs" / job_id

    def job_found(self, project: str, job_id: str) -> AnyPath:
        """Return the folder of what a job has found so far; it goes with the job's parts."""
        return self.job_parts(project, job_id) / "found"

    def job_change(self, project: str, job_id: str) -> AnyPath:
        """Return the file of what a job has changed in names."""
        return self.project_files(project) / "jobs" / f"{job_id}.json"

    def cohort(self, project: str, embedder: str) -> AnyPath:
        """Return the file of the strangers that were imported into a project."""
        return self.project_files(project) / "cohorts" / f"{embedder}.npz"

    def face_vectors(self, project: str, embedder: str) -> AnyPath:
        """Return the file of enrolled faces' vectors by an embedder that the project does not use now."""
        return self.project_files(project) / "vectors" / f"{embedder}.npz"

    def analysis(self, project: str, analysis_id: str) -> AnyPath:
        """Return the folder of an analysis' crops."""
        return self.project_files(project) / "analyses" / analysis_id

    def analysis_mark(self, project: str, analysis_id: str) -> AnyPath:
        """Return the file that is among an analysis' crops as long as they are not all there."""
        return self.analysis(project, analysis_id) / "being-made"

    def track_crop(self, project: str, analysis_id: str, track_id: int, k: int) -> AnyPath:
        """Return the file of the k-th best aligned face of a track."""
        return self.analysis(project, analysis_id) / f"{track_id}-{k}.jpg"
