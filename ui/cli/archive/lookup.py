"""The video that an argument of a command means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ui.cli.common import Opened

if TYPE_CHECKING:
    from serving.store.rows import VideoRow


def find_video(opened: Opened, project: str, name: str) -> VideoRow:
    """Return a video of a project by its file, its id or the beginning of one, or the name that tables show of it."""
    from facerec_models.analysis.weights import file_sha256
    from facerec_models.errors import VideoNotFoundError
    from serving.archive.ids import find_video as find_stored

    path = Path(name)
    if not path.is_file():
        return find_stored(opened.archive.store, project, name)
    for row in opened.archive.store.find_videos(project, sha256=file_sha256(path)):
        return row
    raise VideoNotFoundError(f"{name!r} was not recognised in project {project!r} yet: facerec recognize {name}")
