"""How good the answers are.

- `person_time`: names in videos, in person-seconds;
- `records`: names in videos, one answer for each record of a person in a stretch of video, over all thresholds;
- `stills`: open-set identification on pictures;
- `chances`: whether the stated rates and probabilities hold;
- `clusters`: whether one stranger is one cluster, and one cluster one stranger.
"""

from facerec_models.metrics.chances import Claim, Reliability, ReliabilityBin, claims, proportion_interval, reliability
from facerec_models.metrics.clusters import ClusterScore, cluster_score
from facerec_models.metrics.person_time import (
    CLEAR,
    TOLERANCE_S,
    NamedTime,
    StrangerTime,
    TrueInterval,
    named_time,
    named_times,
    pool,
)
from facerec_models.metrics.records import RecordCount, RecordRates, ShownName, best_f1, count_records, sweep
from facerec_models.metrics.stills import FaceAnswer, StillScore, fpir_limit, still_score, subject
from facerec_models.types import Interval

__all__ = [
    "CLEAR",
    "TOLERANCE_S",
    "Claim",
    "ClusterScore",
    "FaceAnswer",
    "Interval",
    "NamedTime",
    "RecordCount",
    "RecordRates",
    "Reliability",
    "ReliabilityBin",
    "ShownName",
    "StillScore",
    "StrangerTime",
    "TrueInterval",
    "best_f1",
    "claims",
    "cluster_score",
    "count_records",
    "fpir_limit",
    "named_time",
    "named_times",
    "pool",
    "proportion_interval",
    "reliability",
    "still_score",
    "subject",
    "sweep",
]
