"""How good the answers are.

- `person_time`: names in videos, in person-seconds;
- `records`: names in videos, one answer for each record of a person in a stretch of video, over all thresholds;
- `open_set`: open-set identification on pictures;
- `reliability`: whether the stated rates and probabilities hold;
- `clusters`: whether one stranger is one cluster, and one cluster one stranger.
"""

from facerec_models.metrics.clusters import ClusterScore, cluster_score
from facerec_models.metrics.open_set import FaceAnswer, StillScore, fpir_limit, still_score, subject
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
from facerec_models.metrics.reliability import (
    ObservedRate,
    Reliability,
    ReliabilityBin,
    observed_rates,
    proportion_interval,
    reliability,
)
from facerec_models.types import Interval

__all__ = [
    "CLEAR",
    "TOLERANCE_S",
    "ClusterScore",
    "FaceAnswer",
    "Interval",
    "NamedTime",
    "ObservedRate",
    "RecordCount",
    "RecordRates",
    "Reliability",
    "ReliabilityBin",
    "ShownName",
    "StillScore",
    "StrangerTime",
    "TrueInterval",
    "best_f1",
    "cluster_score",
    "count_records",
    "fpir_limit",
    "named_time",
    "named_times",
    "observed_rates",
    "pool",
    "proportion_interval",
    "reliability",
    "still_score",
    "subject",
    "sweep",
]
