"""The opened archive: what every function that reads or changes a project is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from facerec_models.config import IdentificationConfig
from facerec_models.identification.cohort import load_cohort
from facerec_models.vectors import PairScale
from serving.archive.files import Files
from serving.settings import Settings
from serving.store.contract import Store
from serving.store.opening import open_store


@dataclass(frozen=True, slots=True)
class Archive:
    """The rows and files of all projects, and the rules by which they are named.

    Parameters
    ----------
    store : Store
        Closed by whoever opened it.
    files : Files
    rules : IdentificationConfig
    """

    store: Store
    files: Files
    rules: IdentificationConfig = field(default_factory=IdentificationConfig)

    @classmethod
    def of(cls, settings: Settings) -> Archive:
        """Open the archive that the settings name; close its store in the end.

        Raises
        ------
        StoreError
            If the store cannot be opened.
        """
        files = Files.at(settings.home, settings.files)
        return cls(open_store(files.root, settings.store), files, settings.identification)

    def pair_scale(self, embedder: str) -> PairScale:
        """Return what similarities of an embedder tell; raise `WeightsError` if nothing is known of it."""
        return load_cohort(embedder, self.files.weights).pair

    def fix_embedder(self, project: str, embedder: str) -> None:
        """Begin a project with an embedder, unless it has begun with it.

        Raises
        ------
        WeightsError
            If nothing is known of what its similarities tell: nothing could be named, nor anybody enrolled.
        GalleryMismatchError
            If the project was begun with another one.
        """
        self.pair_scale(embedder)
        self.store.fix_embedder(project, embedder)


@contextmanager
def open_archive(settings: Settings) -> Iterator[Archive]:
    """Open the archive that the settings name until the block ends."""
    archive = Archive.of(settings)
    try:
        yield archive
    finally:
        archive.store.close()
