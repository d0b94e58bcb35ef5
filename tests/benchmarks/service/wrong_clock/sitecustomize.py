"""Python begins with this where PYTHONPATH names its folder: `time.time` is off by the seconds that a file says."""

import os
import time
from pathlib import Path

_FILE = Path(os.environ["TRIAL_CLOCK"])
_true_time = time.time


def _wrong_time() -> float:
    return _true_time() + float(_FILE.read_text())


time.time = _wrong_time
