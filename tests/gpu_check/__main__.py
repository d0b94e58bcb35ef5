"""See `tests.gpu_check`."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from facerec_models.analysis.engines.choice import choose_engine
from facerec_models.analysis.weights import WeightsRegistry
from tests.gpu_check import machine, material, parity, speed, table
from tests.gpu_check.clock import Clock
from tests.gpu_check.material import Portrait

SCHEMA = "facerec.gpu-check/1"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Parameters
    ----------
    pictures : int
        Of each kind.
    inputs : int
        Of each network.
    sizes : tuple of str
        Of frames.
    frames, crops : tuple of int
        Sizes of batches.
    budget_s : float
        Longest repetition of one measurement.
    made : tuple of str
        Which clips are made.
    clip_s : int
        Their length.
    clips : int
        Of the pictures' folder.
    """

    pictures: int
    inputs: int
    sizes: tuple[str, ...]
    frames: tuple[int, ...]
    crops: tuple[int, ...]
    budget_s: float
    made: tuple[str, ...]
    clip_s: int
    clips: int


FULL = Extent(
    150, 64, ("360p", "720p", "1080p"), (1, 4, 16, 64), (1, 4, 16, 64, 256, 1024), 1.0, ("360p", "1080p"), 20, 3
)
QUICK = Extent(4, 4, ("360p", "1080p"), (1, 2), (1, 2), 0.0, ("360p",), 2, 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the report, and print it; return 1 if a part failed."""
    options = _options(arguments)
    run = _Run(
        options,
        Clock(options.minutes),
        QUICK if options.quick else FULL,
        torch.device(choose_engine("torch", options.device).device),
    )
    run.all()
    for line in table.lines(run.report):
        sys.stdout.write(f"{line}\n")
    sys.stderr.writelines(run.report["failed"].values())
    return 1 if run.report["failed"] else 0


class _Run:
    """One run; its report is written after each part, so that a run that is ended leaves what it has."""

    def __init__(self, options: argparse.Namespace, clock: Clock, extent: Extent, device: torch.device) -> None:
        self._clock = clock
        self._extent = extent
        self._device = device
        self._weights: Path | None = options.weights
        self._json: Path | None = options.json
        self._pictures = material.load(options.pictures, extent.pictures)
        self.report: dict[str, Any] = {
            "schema": SCHEMA,
            "machine": machine.describe(device, options.commit),
            "material": {
                "source": self._pictures.source,
                "gallery": len(self._pictures.gallery),
                "probes": len(self._pictures.probes),
                "clips": [clip.name for clip in self._pictures.clips],
            },
            "quick": options.quick,
            "skipped": clock.skipped,
            "failed": {},
        }

    def all(self) -> None:
        """Measure everything that there is time for."""
        with tempfile.TemporaryDirectory() as scratch:
            self._measure(WeightsRegistry(self._weights or Path(scratch) / "weights"), Path(scratch))

    def _measure(self, weights: WeightsRegistry, scratch: Path) -> None:
        clock, extent, device, total_s = self._clock, self._extent, self._device, 60 * self._clock.minutes
        pictures = self._pictures
        # Whatever else happens, the speed of the product is measured: the pictures on the CPU may take a third of the time.
        faces = parity.reference_faces(pictures.portraits, weights, clock, 0.67 * total_s)
        shown = [one for one in zip(pictures.portraits, faces, strict=False) if len(one[1])]
        if not shown:
            raise SystemExit(f"the first {len(faces)} pictures of {pictures.source} show no face: name other pictures")
        portraits, found = [portrait for portrait, _ in shown], [one.detections for _, one in shown]
        frames = (portraits, device, extent.sizes, extent.frames, clock, extent.budget_s)
        batch = min(16, max(extent.frames))
        parts: dict[str, Callable[[], list[dict[str, Any]]]] = {
            "networks": lambda: parity.compare_networks(
                parity.networks(portraits, found, weights, extent.inputs), device, clock
            ),
            "detection": lambda: speed.detection(*frames),
            "stages": lambda: speed.stages(portraits, device, extent.sizes, batch, clock, extent.budget_s),
            "embedding": lambda: speed.embedding(
                portraits, found, weights, device, extent.crops, clock, extent.budget_s
            ),
            "videos": lambda: self._videos(portraits, weights, scratch),
            "decisions": lambda: parity.compare_decisions(pictures, faces, weights, device, clock, 0.0),
            "library_detection": lambda: speed.library_detection(*frames),
        }
        for name, part in parts.items():
            self._do(name, part)

    def _videos(self, portraits: Sequence[Portrait], weights: WeightsRegistry, scratch: Path) -> list[dict[str, Any]]:
        if importlib.util.find_spec("av") is None:
            self._clock.skip("videos", "PyAV is not installed")
            return []
        # Here and not above: it needs PyAV.
        from tests.gpu_check import videos

        clips = list(self._pictures.clips[: self._extent.clips])
        for size in self._extent.made:
            width, height = speed.SIZES[size]
            if self._clock.allows(f"a clip of {size}"):
                clips.append(videos.write_clip(scratch / f"{size}.mp4", portraits, width, height, self._extent.clip_s))
        return videos.compare_chain(clips, weights, self._device, self._clock)

    def _do(self, name: str, part: Callable[[], list[dict[str, Any]]]) -> None:
        """Measure one part; where it fails, the report says how, and the others are measured all the same."""
        try:
            self.report[name] = part()
        except Exception:
            self.report["failed"][name] = traceback.format_exc()
        self.report["wall_s"] = self._clock.spent_s
        if self._json is not None:
            self._json.write_text(json.dumps(self.report, indent=1), encoding="utf-8")
        sys.stderr.write(f"{self._clock.spent_s:6.1f} s: {name}, {len(self.report.get(name, ()))} rows\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu_check", description="Compare a CUDA device with the CPU, and measure its speed."
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--json", type=Path, help="where the report goes")
    parser.add_argument("--pictures", type=Path, help="folder with gallery/<Person>/* and more: see material.load")
    parser.add_argument("--weights", type=Path, help="folder with the weights, where no installed package carries them")
    parser.add_argument("--minutes", type=float, default=8.0, help="what has not begun by then is skipped")
    parser.add_argument("--commit", help="what was checked out, where no Git repository tells")
    parser.add_argument("--quick", action="store_true", help="a few pictures, small batches, each measured once")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
