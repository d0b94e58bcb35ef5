"""What turns aligned faces into vectors; the networks are in `facerec_models.analysis.embedders`, so that this needs no torch."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from facerec_models.analysis.alignment import Template
from facerec_models.types import FloatArray, ImageArray


class FaceEmbedder(Protocol):
    """Whatever turns aligned faces into vectors.

    Attributes
    ----------
    name : str
        Stored beside every embedding: only embeddings of one name may be compared.
    dimension : int
        Length of an embedding.
    template : Template
        How faces must be aligned for it.
    terms : str
        Licence of the weights, and what is to be known about their training data.
    engine : str
        What computes it, as a user reads it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def dimension(self) -> int: ...  # noqa: D102
    @property
    def template(self) -> Template: ...  # noqa: D102
    @property
    def terms(self) -> str: ...  # noqa: D102
    @property
    def engine(self) -> str: ...  # noqa: D102

    def embed(self, crops: ImageArray) -> FloatArray:
        """Embed aligned faces.

        Parameters
        ----------
        crops : (N, S, S, 3) uint8
            RGB, aligned to `template`; N may be 0.

        Returns
        -------
        (N, D) float32
            Unit length, in the order of `crops`.
        """
        ...


def check_crops(crops: ImageArray, template: Template) -> None:
    """Raise `ValueError` if these are not (N, S, S, 3) uint8 of the template's size."""
    size = template.size
    if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8:
        raise ValueError(f"crops must be Nx{size}x{size}x3 uint8, not {'x'.join(map(str, crops.shape))} {crops.dtype}")
