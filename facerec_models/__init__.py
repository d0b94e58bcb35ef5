"""Find who appears in a video: the library under FaceRec. It knows nothing of servers, stores or pages.

The names in `__all__` are its public face. Each is loaded when it is first used, so that importing the package costs nothing. People
are enrolled from a folder that holds a folder of pictures for each of them::

    import facerec_models as fr

    networks = fr.load_networks()
    gallery, refused = fr.enrol("people", networks)
    model = fr.fit(gallery)
    analysis = fr.analyze("clip.mp4", networks)
    for appearance in fr.identify(analysis, model):
        print(appearance.match.person_id, appearance.start_s, appearance.end_s)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facerec_models.analysis.analyze import Analysis
    from facerec_models.analysis.networks import Networks, load_networks
    from facerec_models.analysis.reading.video_info import VideoInfo
    from facerec_models.config import (
        AnalysisConfig,
        DetectionConfig,
        EmbeddingConfig,
        IdentificationConfig,
        LimitsConfig,
        SamplingConfig,
        ShotConfig,
        TrackingConfig,
    )
    from facerec_models.errors import (
        DeviceError,
        EmptyGalleryError,
        FacerecError,
        GalleryError,
        GalleryMismatchError,
        ImageError,
        InputError,
        LimitExceededError,
        ModelNotFoundError,
        VideoDecodeError,
        VideoOpenError,
        WeightsError,
    )
    from facerec_models.identification.cohort import Cohort, load_cohort
    from facerec_models.identification.naming_model import Gallery, NamingModel
    from facerec_models.result import Result
    from facerec_models.stills import StillResult
    from facerec_models.types import (
        Appearance,
        Candidate,
        Decision,
        Detections,
        FaceSet,
        Frame,
        Match,
        Track,
        UndecidableReason,
    )
    from facerec_models.workflow import Enrolment, analyze, enrol, fit, identify, identify_pictures, result_of

# What the block above imports, by module: where each name is loaded from.
_NAMES = {
    "facerec_models.analysis.analyze": "Analysis",
    "facerec_models.analysis.networks": "Networks load_networks",
    "facerec_models.analysis.reading.video": "VideoInfo",
    "facerec_models.config": """
        AnalysisConfig DetectionConfig EmbeddingConfig IdentificationConfig LimitsConfig SamplingConfig ShotConfig TrackingConfig
    """,
    "facerec_models.errors": """
        DeviceError EmptyGalleryError FacerecError GalleryError GalleryMismatchError ImageError InputError LimitExceededError
        ModelNotFoundError VideoDecodeError VideoOpenError WeightsError
    """,
    "facerec_models.identification.cohort": "Cohort load_cohort",
    "facerec_models.identification.naming_model": "Gallery NamingModel",
    "facerec_models.result": "Result",
    "facerec_models.stills": "StillResult",
    "facerec_models.types": "Appearance Candidate Decision Detections FaceSet Frame Match Track UndecidableReason",
    "facerec_models.workflow": "Enrolment analyze enrol fit identify identify_pictures result_of",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Analysis",
    "AnalysisConfig",
    "Appearance",
    "Candidate",
    "Cohort",
    "Decision",
    "DetectionConfig",
    "Detections",
    "DeviceError",
    "EmbeddingConfig",
    "EmptyGalleryError",
    "Enrolment",
    "FaceSet",
    "FacerecError",
    "Frame",
    "Gallery",
    "GalleryError",
    "GalleryMismatchError",
    "IdentificationConfig",
    "ImageError",
    "InputError",
    "LimitExceededError",
    "LimitsConfig",
    "Match",
    "ModelNotFoundError",
    "NamingModel",
    "Networks",
    "Result",
    "SamplingConfig",
    "ShotConfig",
    "StillResult",
    "Track",
    "TrackingConfig",
    "UndecidableReason",
    "VideoDecodeError",
    "VideoInfo",
    "VideoOpenError",
    "WeightsError",
    "analyze",
    "enrol",
    "fit",
    "identify",
    "identify_pictures",
    "load_cohort",
    "load_networks",
    "result_of",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
