"""Every error that FaceRec raises on purpose.

::

    FacerecError
    ├── InputError                 what was given cannot be used                      422
    │   ├── ClosedPlaceError       a file that is in no folder that the operator opened
    │   ├── VideoOpenError         not a video, or none that is allowed
    │   ├── VideoDecodeError       a video whose pictures cannot be read
    │   ├── ImageError             not a picture, or none that can be read
    │   └── LimitExceededError     larger than a configured bound                     413
    ├── UnauthenticatedError       nobody, or nobody known, asks                      401
    ├── ForbiddenError             the caller may not do that                         403
    ├── NotFoundError                                                                 404
    │   ├── ProjectNotFoundError
    │   ├── PersonNotFoundError
    │   ├── VideoNotFoundError
    │   ├── JobNotFoundError
    │   ├── KeyNotFoundError
    │   └── ModelNotFoundError
    ├── ConflictError              the state does not allow it                        409
    │   └── GalleryError
    │       ├── EmptyGalleryError
    │       └── GalleryMismatchError   embeddings of two models were mixed
    ├── BusyError                  a queue is full; try again                         429
    ├── SourceError                an address that cannot be reached or resolved      502
    ├── PlaceError                 a file or folder that cannot be written            507
    ├── StoreError                 the store does not answer; retryable               503
    │   └── StoreFullError         its disk has no room                               507
    ├── DeviceError                an accelerator was asked for and is not there      refuses to start
    └── WeightsError               weights that are missing or have a wrong checksum  refuses to start

A message says what was wrong, with which value, and what to do about it.
"""

from __future__ import annotations


class FacerecError(Exception):
    """Root of everything that FaceRec raises on purpose.

    Examples
    --------
    >>> issubclass(EmptyGalleryError, ConflictError), EmptyGalleryError.status
    (True, 409)
    """

    status = 500


class InputError(FacerecError):
    """What the caller gave cannot be used."""

    status = 422


class ClosedPlaceError(InputError):
    """What a request names is in no folder that the operator opened."""


class VideoOpenError(InputError):
    """The file is no video, or none of the allowed kinds."""


class VideoDecodeError(InputError):
    """The video opens, but no picture can be read from it."""


class ImageError(InputError):
    """The file is no picture, or none that can be read."""


class LimitExceededError(InputError):
    """The input is larger than a configured bound."""

    status = 413


class UnauthenticatedError(FacerecError):
    """The request has no key, or none that opens anything."""

    status = 401


class ForbiddenError(FacerecError):
    """The caller is known, and may not do that."""

    status = 403


MEDIA_ERRORS = (VideoOpenError, VideoDecodeError, ImageError, LimitExceededError)
"""What is raised for videos and pictures that cannot be read."""


class NotFoundError(FacerecError):
    """Something was named that does not exist."""

    status = 404


class ProjectNotFoundError(NotFoundError):
    """No project has this name."""


class PersonNotFoundError(NotFoundError):
    """No person has this id in the project."""


class VideoNotFoundError(NotFoundError):
    """No video, or no result of one, has this id."""


class JobNotFoundError(NotFoundError):
    """No job has this id."""


class KeyNotFoundError(NotFoundError):
    """No key has this id."""


class ModelNotFoundError(NotFoundError):
    """The project has no such model version, or none is promoted yet."""


class ConflictError(FacerecError):
    """The present state does not allow the request."""

    status = 409


class GalleryError(ConflictError):
    """The gallery does not allow the request."""


class EmptyGalleryError(GalleryError):
    """The project has no enabled face to learn from."""


class GalleryMismatchError(GalleryError):
    """Embeddings of two different models would be compared."""


class BusyError(FacerecError):
    """A bounded queue is full."""

    status = 429

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SourceError(FacerecError):
    """An address that cannot be reached or resolved."""

    status = 502


class StoreError(FacerecError):
    """The store does not answer; the call may be repeated."""

    status = 503


class StoreFullError(StoreError):
    """The disk of the store has no room for what is to be written."""

    status = 507


class PlaceError(FacerecError):
    """A file or folder cannot be written: its disk is full, fails or is read-only, or this user may not."""

    status = 507


class DeviceError(FacerecError):
    """An accelerator was asked for and is not there."""

    status = 503


class WeightsError(FacerecError):
    """Weights are missing, or are not the ones that were asked for."""

    status = 503
