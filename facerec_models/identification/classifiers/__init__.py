"""Whom an embedding resembles: scikit-learn estimators over unit-length embeddings, behind one interface.

`prototype` compares a face with each person's mean. The others are those of the predecessor, each built from one binary
classifier per person against all other people and some strangers: `svm`, `knn`, `rf` and `softmax`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facerec_models.errors import InputError
from facerec_models.identification.classifiers.base import Arrays, FaceClassifier
from facerec_models.identification.classifiers.bounded import BoundedClassifier, is_bounded
from facerec_models.identification.classifiers.forest import ForestClassifier
from facerec_models.identification.classifiers.linear import SoftmaxClassifier, SvmClassifier
from facerec_models.identification.classifiers.nearest import NearestFaceClassifier
from facerec_models.identification.classifiers.one_against_rest import OneAgainstRest, TrainingFaces
from facerec_models.identification.classifiers.prototype import PrototypeClassifier

_KINDS: dict[str, type[FaceClassifier]] = {
    kind.name: kind
    for kind in (PrototypeClassifier, SvmClassifier, NearestFaceClassifier, ForestClassifier, SoftmaxClassifier)
}
CLASSIFIERS = tuple(_KINDS)
DEFAULT_CLASSIFIER = PrototypeClassifier.name


def build_classifier(name: str, seed: int = 0) -> FaceClassifier:
    """Return a classifier that has learned nothing yet.

    Parameters
    ----------
    name : str
        One of `CLASSIFIERS`.
    seed : int
        Of what is drawn at random; the same data and seed give the same classifier. Most draw nothing.

    Raises
    ------
    InputError
        If there is no such classifier.

    Examples
    --------
    >>> build_classifier("prototype").name
    'prototype'
    >>> build_classifier("oracle")
    Traceback (most recent call last):
    facerec_models.errors.InputError: there is no classifier 'oracle': choose one of prototype, svm, knn, rf, softmax
    """
    kind = _kind(name)
    return kind(seed=seed) if "seed" in kind().get_params() else kind()


def load_classifier(name: str, params: Mapping[str, Any], arrays: Arrays) -> FaceClassifier:
    """Return the classifier that these parameters and arrays were taken from; see `FaceClassifier.to_arrays`."""
    unfitted = _kind(name)(**params)
    if is_bounded(arrays):
        return BoundedClassifier(unfitted, PrototypeClassifier()).from_arrays(arrays)
    return unfitted.from_arrays(arrays)


def _kind(name: str) -> type[FaceClassifier]:
    if name not in _KINDS:
        raise InputError(f"there is no classifier {name!r}: choose one of {', '.join(CLASSIFIERS)}")
    return _KINDS[name]


__all__ = [
    "CLASSIFIERS",
    "DEFAULT_CLASSIFIER",
    "Arrays",
    "BoundedClassifier",
    "FaceClassifier",
    "ForestClassifier",
    "NearestFaceClassifier",
    "OneAgainstRest",
    "PrototypeClassifier",
    "SoftmaxClassifier",
    "SvmClassifier",
    "TrainingFaces",
    "build_classifier",
    "load_classifier",
]
