"""Scan a video in a process of its own: it decodes, aligns and judges; the networks stay here and are asked through a pipe.

A child that a file has taken over can spoil what is found in that file, and no more: what comes from it is numbers whose number and
shape are checked, and the files of crops are written here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.subtitles.stream  # noqa: F401  (these two are loaded when they are first used, and would be in each child anew)
import numpy as np
import numpy.typing as npt
import scipy.special  # noqa: F401

from facerec_models.analysis.alignment import Template
from facerec_models.analysis.apart.video_child import next_answer, open_video, video_child, video_facts
from facerec_models.analysis.detection import FaceDetector
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.frame_faces import Engines, Scan, Timing
from facerec_models.analysis.frame_scanner import FrameScanner
from facerec_models.analysis.reading.segments import FrameIndex, Segment
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.config import AnalysisConfig
from facerec_models.confinement.child import Child, ChildLostError
from facerec_models.confinement.pipe import Message, Pipe
from facerec_models.images import encode_crop
from facerec_models.types import Detections, FloatArray, ImageArray

# What wrong numbers of a child can raise.
_WRONG = (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, ZeroDivisionError)


class ScanApart:
    """The scan of one video or segment, which a child makes when `parts` is gone through.

    Parameters
    ----------
    path : Path
        A local file.
    config : AnalysisConfig
    detector, embedder : FaceDetector, FaceEmbedder
        Used in this process, in the thread that goes through `parts`.
    name : str, optional
        What errors call the video; its path by default.
    segment : tuple of FrameIndex and Segment, optional
        What to scan; by default the whole video, or its fragment, from the beginning.

    Attributes
    ----------
    info : VideoInfo
        From the first part on; corrected after the last, as `Video.info`.
    complete, warnings
        After the last part, as those of `Video`.
    timing : Timing
        After the last part.
    engines : Engines
    """

    info: VideoInfo

    def __init__(
        self,
        path: Path,
        config: AnalysisConfig,
        detector: FaceDetector,
        embedder: FaceEmbedder,
        *,
        name: str | None = None,
        segment: tuple[FrameIndex, Segment] | None = None,
    ) -> None:
        self._facts = video_facts(path, config.limits, name, config.sampling.stream)
        self._config = config
        self._detector = detector
        self._embedder = embedder
        self._segment = segment
        self._embed_s = Timing()
        self.name: str = self._facts["name"]
        self.complete = False
        self.warnings: tuple[str, ...] = ()
        self.timing = Timing()
        self.engines = Engines(detector.engine, embedder.engine)

    def parts(self) -> Generator[tuple[Scan, float]]:
        """Go through the video; yield what was found since the last part, and the fraction that is done.

        Whoever does not go to the end closes the generator: the child ends then.

        Raises
        ------
        VideoOpenError, VideoDecodeError, LimitExceededError
            If the file is no video that can be read, or its decoder crashes, hangs or needs too much.
        SegmentError
            If the segment cannot be scanned by itself.
        """
        with video_child(scan_in_child, self._facts, self._config.limits) as child:
            child.send("scan", *self._order(), timeout_s=self._config.limits.decoder_silence_s)
            crops: list[ImageArray] = []
            embeddings: list[FloatArray] = []
            held_bytes = 0
            while (message := next_answer(child, self._config.limits)).kind != "end":
                match message.kind:
                    case "detect":
                        self._detect(child, message)
                    case "embed":
                        crops.append(self._crops_of(message))
                        # A part has a few hundred frames: a child that hands over more than it may hold itself would fill this process.
                        held_bytes += crops[-1].nbytes
                        if held_bytes > self._config.limits.decoder_memory_bytes:
                            raise ChildLostError("sent more crops than a part can have")
                        with self._embed_s.measure("embed_s"):
                            embeddings.append(self._embedder.embed(crops[-1]))
                    case "part":
                        yield self._part(message, crops, embeddings)
                        crops, embeddings, held_bytes = [], [], 0
                    case "opened" | "over":
                        self._note(message)
                    case other:
                        raise ChildLostError(f"sent what cannot be an answer: {other[:20]!r}")

    def scan(
        self,
        on_progress: Callable[[float], None] | None = None,
        on_part: Callable[[Scan], None] | None = None,
    ) -> Scan:
        """Scan everything and return what was found, all at once: for a segment, whose length is bounded.

        Parameters
        ----------
        on_progress : callable, optional
            Gets the fraction that is done; what it raises ends the scan.
        on_part : callable, optional
            Gets what was found since the last part.
        """
        found, whole = Scan(), Timing()
        with whole.measure("wall_s"), closing(self.parts()) as parts:
            for part, fraction in parts:
                found += part
                if on_part is not None:
                    on_part(part)
                if on_progress is not None:
                    on_progress(fraction)
        return replace(found, timing=self.timing + whole, engines=self.engines)

    def _order(self) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
        facts: dict[str, Any] = {
            "video": self._facts,
            "config": self._config.model_dump(mode="json"),
            "template": asdict(self._embedder.template),
        }
        if self._segment is None:
            return facts, []
        index, segment = self._segment
        facts |= {"segment": asdict(segment), "time_base": index.time_base.as_integer_ratio()}
        return facts, [index.pts, index.keyframes]

    def _detect(self, child: Child, message: Message) -> None:
        images = message.arrays
        for image in images:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise ChildLostError(f"sent what cannot be a picture: {image.dtype} {image.shape}")
        found = self._detector.detect(images)
        arrays = [array for one in found for array in (one.boxes, one.scores, one.landmarks)]
        child.send("found", {}, arrays, timeout_s=self._config.limits.decoder_silence_s)

    def _crops_of(self, message: Message) -> ImageArray:
        size = self._embedder.template.size
        if (
            len(message.arrays) != 1
            or message.arrays[0].dtype != np.uint8
            or message.arrays[0].shape[1:] != (size, size, 3)
        ):
            raise ChildLostError("sent what cannot be crops")
        return message.arrays[0]

    def _part(self, message: Message, crops: list[ImageArray], embeddings: list[FloatArray]) -> tuple[Scan, float]:
        try:
            scan = Scan.of_arrays(message.facts["scan"], dict(zip(message.facts["names"], message.arrays, strict=True)))
            fraction = float(message.facts["fraction"])
            described = (
                np.concatenate(embeddings) if embeddings else np.zeros((0, self._embedder.dimension), np.float32)
            )
            return scan.described(described, [encode_crop(crop) for some in crops for crop in some]), fraction
        except _WRONG as error:
            raise ChildLostError(f"sent what cannot be found in a video: {error}") from error

    def _note(self, message: Message) -> None:
        facts = message.facts
        try:
            self.info = replace(VideoInfo.of_facts(facts["info"]), path=Path(self._facts["path"]))
            self.warnings = tuple(map(str, facts["warnings"]))
            if message.kind == "over":
                self.complete = bool(facts["complete"])
                self.timing = replace(Timing(**facts["timing"]), embed_s=self._embed_s.embed_s)
        except _WRONG as error:
            raise ChildLostError(f"sent what cannot be true of a video: {error}") from error


def scan_in_child(pipe: Pipe) -> None:
    """Scan a video; runs in a child."""
    _, facts, arrays = pipe.receive()
    config = AnalysisConfig.model_validate(facts["config"])
    segment = None
    if "segment" in facts:
        segment = FrameIndex(arrays[0], arrays[1], Fraction(*facts["time_base"])), Segment(**facts["segment"])
    template = facts["template"]
    embedder = _AskedEmbedder(pipe, Template(**template | {"points": tuple(map(tuple, template["points"]))}))
    with open_video(pipe, facts["video"]) as video:
        pipe.send("opened", {"info": video.info.to_facts(), "warnings": video.warnings})
        scanner = FrameScanner(video, config, _AskedDetector(pipe), embedder, segment, keeps_crops=False)
        with closing(scanner.parts()) as parts:
            for part, fraction in parts:
                found, numbers = part.to_arrays()
                told = {"scan": found, "fraction": fraction, "names": list(numbers)}
                pipe.send("part", told, list(numbers.values()))
        over = {"info": video.info.to_facts(), "warnings": video.warnings, "complete": video.complete}
        pipe.send("over", over | {"timing": asdict(scanner.timing)})


class _AskedDetector:
    """The detector of the parent."""

    engine = ""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        if not images:
            return []
        self._pipe.send("detect", {}, images)
        arrays = self._pipe.receive().arrays
        return [Detections(*arrays[3 * i : 3 * i + 3]) for i in range(len(images))]


class _AskedEmbedder:
    """Hands crops to the parent, which keeps them with their embeddings."""

    name = terms = engine = ""
    dimension = 0

    def __init__(self, pipe: Pipe, template: Template) -> None:
        self._pipe = pipe
        self.template = template

    def embed(self, crops: ImageArray) -> FloatArray:
        if len(crops):
            self._pipe.send("embed", {}, [crops])
        return np.zeros((len(crops), 0), np.float32)
