"""How politely and how long is crawled, and which pictures are worth keeping."""

from __future__ import annotations

from pydantic import Field

from facerec_models.config import Config


class CrawlConfig(Config):
    """Bounds of a crawl: of one person, by default."""

    min_side_px: int = Field(default=200, ge=1, description="Least width and height of a picture.")
    near_duplicate_bits: int = Field(
        default=12, ge=0, le=64, description="Pictures whose hashes differ in at most this many of 128 bits are one."
    )
    delay_s: float = Field(default=1.0, ge=0, description="Least time between two requests to one host.")
    connect_timeout_s: float = Field(default=5.0, gt=0, description="Longest wait for a connection.")
    read_timeout_s: float = Field(default=10.0, gt=0, description="Longest silence within an answer.")
    answer_timeout_s: float = Field(default=30.0, gt=0, description="Longest time for a whole picture or page.")
    max_answer_bytes: int = Field(default=20 * 2**20, ge=1, description="Largest picture or page.")
    max_redirects: int = Field(default=5, ge=0, description="Redirects that are followed.")
    max_pages: int = Field(default=50, ge=1, description="Pages that are read of a site or a search.")
    max_time_s: float = Field(default=600.0, gt=0, description="A crawl ends after this time with what it has.")
    threads: int = Field(default=3, ge=1, le=16, description="Pictures that are fetched at a time.")
    private_addresses: bool = Field(
        default=False, description="Whether crawls that come over HTTP may ask addresses that are not public."
    )
