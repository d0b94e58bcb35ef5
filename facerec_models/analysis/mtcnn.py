"""MTCNN, a `FaceDetector`; the search itself is in `facerec_models.analysis.cascade`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from facerec_models.analysis import boxes
from facerec_models.analysis.batching import split
from facerec_models.analysis.cascade import Cascade
from facerec_models.analysis.devices import resolve_device
from facerec_models.config import DetectionConfig
from facerec_models.types import Detections, ImageArray

# Pixels that go through P-Net at once: enough to fill an accelerator. A CPU gains nothing from more than a picture or two: a quarter
# of the pixels takes a tenth to a quarter less time, and less than half the memory between its layers.
_CPU_PIXELS, _ACCELERATOR_PIXELS = 1_000_000, 4_000_000


class MtcnnDetector:
    """MTCNN with the weights of facenet-pytorch's wheel.

    Pictures of one size are detected as one batch.

    Raises
    ------
    DeviceError
        If ``cuda`` is asked for and is not there.
    """

    def __init__(self, config: DetectionConfig) -> None:
        self._config = config
        self.device = resolve_device(config.device)
        self._cascade = Cascade(
            self.device, min_face_px=config.min_face_px, thresholds=config.thresholds, factor=config.factor
        )

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Find the faces of each picture; see `FaceDetector.detect`."""
        found = [Detections.empty()] * len(images)
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, image in enumerate(images):
            # Below this the pyramid has no level at all. Rounded as the search rounds: 47 * (12 / 47) is less than 12.
            if min(image.shape[:2]) * (12.0 / self._config.min_face_px) >= 12:
                by_size[(image.shape[0], image.shape[1])].append(i)
        for (height, width), members in by_size.items():
            pixels = _CPU_PIXELS if self.device.type == "cpu" else _ACCELERATOR_PIXELS
            for batch_of in split(len(members), max(1, pixels // (height * width)), self.device):
                part = members[batch_of]
                batch = np.stack([images[i] for i in part])
                for i, detections in zip(part, self._detect_batch(batch, width, height), strict=True):
                    found[i] = detections
        return found

    def _detect_batch(self, batch: ImageArray, width: int, height: int) -> list[Detections]:
        found = []
        for face_boxes, scores, landmarks in self._cascade.find(batch):
            clipped = boxes.clip(face_boxes, width, height)
            # A regression far off the picture leaves nothing after clipping, or not-a-number.
            sound = (boxes.area(clipped) > 0) & np.isfinite(landmarks).all(axis=(1, 2))
            found.append(Detections(clipped, np.clip(scores, 0, 1), landmarks).select(sound))
        return found
