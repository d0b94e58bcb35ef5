"""Crawls of the site on this machine, and pictures for it."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from facerec_models.config import LimitsConfig
from facerec_models.types import ImageArray
from tests.picture_site import PictureSite
from training.crawling.bounds import CrawlConfig
from training.crawling.crawl import CrawlReport, crawl
from training.crawling.sources import parse_source

QUICK = CrawlConfig(delay_s=0.01)
LIMITS = LimitsConfig()


def view(number: int, width: int = 320, height: int = 240) -> ImageArray:
    """Return a picture like no other number's."""
    coarse = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def encode(image: ImageArray, kind: str = "JPEG", **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def put_pictures(site: PictureSite, count: int) -> list[str]:
    return [site.put(f"/{i}.jpg", encode(view(i))) for i in range(count)]


def listed(tmp_path: Path, addresses: list[str]) -> str:
    file = tmp_path / "addresses.txt"
    file.write_text("\n".join(["# pictures", "", *addresses]))
    return f"urls:{file}"


def collect(
    source: str,
    folder: Path,
    config: CrawlConfig = QUICK,
    *,
    max_num: int = 20,
    public_only: bool = False,
    known_sha256: tuple[str, ...] = (),
) -> CrawlReport:
    return crawl(
        "Ada_Lovelace",
        parse_source(source),
        folder,
        config,
        LIMITS,
        max_num=max_num,
        public_only=public_only,
        known_sha256=known_sha256,
    )


def reasons(report: CrawlReport) -> dict[str, str]:
    return {address.rpartition("/")[2]: reason for address, reason in report.dropped}
