"""How likely a face is recognised: one number from size, sharpness, pose, the picture's edge and the detector's score.

`score` is a probability: that the face of an enrolled person, among 59 people and with the packaged network, is nearer to that person's
prototype than 99 % of strangers are to anybody. It is a logistic regression, fitted on 4,938 faces from 823 photographs of people
with at least two (half of them degraded by reduction, blur, movement, compression and cut-off edges) and checked on people left out:
of faces with a score of 0 to .2, .2 to .4, ... .8 to 1, the fractions .14, .30, .51, .71 and .86 were recognised (AUC .78; size
alone .70). The detector's score enters as the probability that there is a face at all. Reduced photographs are kinder than small
faces in compressed video, of which only .79 are nearest to the right person at 27 to 33 px and .65 below: under about 28 px the
number falls to nothing, as it does where the landmarks fit the template worse than by 11 px of a 150 px crop: a face in profile.
It is 0 where the picture cuts off more than half of the face: such crops are alike, and strangers cut so far were named four
times as often as the limit allows (people in Labeled Faces in the Wild, cut near the middle); the limit held for small and
slightly blurred faces, and strong blur doubled the rate; between a quarter and a half there were too few to tell.
"""

from __future__ import annotations

import cv2
import numpy as np
import scipy

from facerec_models.types import Detections, FloatArray, ImageArray

FEATURES = ("log_width", "sharpness", "residual", "outside", "score")

# Side of the crops that all this was fitted on.
_CROP_PX = 150
# Above these, larger and sharper is not better: 80 px is what the networks' crops hold.
_MAX_LOG_WIDTH, _MAX_SHARPNESS = float(np.log(80)), 5.5
_WEIGHTS = np.array([0.725, 0.780, -7.14, -3.177], np.float32)
_OFFSET = -4.463
_SMALL_PX, _SMALL_SPREAD_PX = 28.0, 2.0
# Residual, in crop sizes, at which a face is turned too far for a five-point alignment: 11 of 150 px.
_TURNED, _TURNED_SPREAD = 0.073, 0.007
_MAX_OUTSIDE = 0.5


def features(detections: Detections, crops: ImageArray, residual_px: FloatArray, width: int, height: int) -> FloatArray:
    """Measure what decides whether a face can be recognised.

    Parameters
    ----------
    detections : Detections
        N faces of one picture of this `width` and `height`.
    crops : (N, S, S, 3) uint8
        The same faces aligned.
    residual_px : (N,) float32
        How badly the landmarks fit the template, in pixels of the crop.

    Returns
    -------
    (N, 5) float32
        In the order of `FEATURES`. ``log_width``: natural logarithm of the box's shorter side in pixels. ``sharpness``:
        logarithm of the variance of the crop's Laplacian. ``residual``: `residual_px` over the crop's size: it grows with
        the turn of the head. ``outside``: fraction of the face's square that the picture cuts off. ``score``: the detector's.
    """
    count = len(detections)
    result = np.zeros((count, len(FEATURES)), np.float32)
    if count == 0:
        return result
    boxes, points = detections.boxes, detections.landmarks
    span = np.maximum(np.linalg.norm(points[:, 1] - points[:, 0], axis=1), 1e-3)
    result[:, 0] = np.log(np.maximum((boxes[:, 2:] - boxes[:, :2]).min(axis=1), 1))
    result[:, 1] = [_sharpness(crop) for crop in crops]
    result[:, 2] = residual_px / crops.shape[1]
    result[:, 3] = _outside(points, span, width, height)
    result[:, 4] = detections.scores
    return result


def score(measured: FloatArray) -> FloatArray:
    """Turn (N, 5) `features` into the probability that each face is recognised, in [0, 1].

    Examples
    --------
    >>> large_and_sharp, small = [np.log(80), 5.5, 0.02, 0.0, 1.0], [np.log(20), 5.5, 0.02, 0.0, 1.0]
    >>> (score(np.float32([large_and_sharp, small])) > 0.5).tolist()
    [True, False]
    """
    bounded = np.minimum(measured[:, :4], np.array([_MAX_LOG_WIDTH, _MAX_SHARPNESS, np.inf, np.inf], np.float32))
    recognised = scipy.special.expit(bounded @ _WEIGHTS + _OFFSET)
    large_enough = scipy.special.expit((np.exp(measured[:, 0]) - _SMALL_PX) / _SMALL_SPREAD_PX)
    frontal_enough = scipy.special.expit((_TURNED - measured[:, 2]) / _TURNED_SPREAD)
    whole_enough = measured[:, 3] <= _MAX_OUTSIDE
    return np.asarray(recognised * large_enough * frontal_enough * whole_enough * measured[:, 4], np.float32)


def _sharpness(crop: ImageArray) -> float:
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if gray.shape != (_CROP_PX, _CROP_PX):  # other networks' crops; larger ones would seem blurred
        gray = cv2.resize(gray, (_CROP_PX, _CROP_PX), interpolation=cv2.INTER_AREA)
    middle = gray[gray.shape[0] // 6 : -(gray.shape[0] // 6), gray.shape[1] // 6 : -(gray.shape[1] // 6)]
    return float(np.log1p(cv2.Laplacian(middle, cv2.CV_32F).var()))


def _outside(points: FloatArray, span: FloatArray, width: int, height: int) -> FloatArray:
    """Fraction, along the worse axis, of a square of 2.2 eye distances around the face that the picture does not have."""
    middle = points.mean(axis=1)
    half = 1.1 * span
    low = np.maximum(half[:, None] - middle, 0)
    high = np.maximum(middle + half[:, None] - np.array([width, height]), 0)
    return np.asarray(np.maximum(low, high).max(axis=1) / (2 * half), np.float32)
