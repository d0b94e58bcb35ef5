/** The tracks of a video, kept so that a moment's faces are found without going through all of them. */

const BUCKET_S = 1;
// A face is in view in its last frame, too, whose time the player tells a little later or earlier.
const FRAME_SLACK_S = 1e-3;
// A face that was not sampled for so long was not where a line between two samples says.
const LONGEST_STEP_S = 2.5;

/** Where each track is at each time. */
export class Tracks {
  /**
   * @param {Array<{track_id: number, times_s: number[], boxes_xyxy: number[][]}>} boxes
   * @param {Array<{track_id: number, start_s: number, end_s: number}>} views From when to when each is in view.
   */
  constructor(boxes, views) {
    this.byId = new Map(boxes.map((one) => [one.track_id, one]));
    this.buckets = new Map();
    for (const view of views) {
      if (!this.byId.has(view.track_id)) continue;
      for (let i = Math.floor(view.start_s / BUCKET_S); i <= Math.floor(view.end_s / BUCKET_S); i += 1) {
        if (!this.buckets.has(i)) this.buckets.set(i, []);
        this.buckets.get(i).push(view);
      }
    }
  }

  /** Return `[track_id, box]` of each face in view at a time. */
  at(time) {
    const found = [];
    for (const view of this.buckets.get(Math.floor(time / BUCKET_S)) ?? []) {
      if (time < view.start_s || time > view.end_s + FRAME_SLACK_S) continue;
      found.push([view.track_id, boxAt(this.byId.get(view.track_id), time)]);
    }
    return found;
  }
}

/** Return a track's box at a time: between two samples on the line between them, outside as at the nearest one. */
export function boxAt({ times_s: times, boxes_xyxy: boxes }, time) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return boxes[0];
  if (low === times.length) return boxes[low - 1];
  const [before, after] = [times[low - 1], times[low]];
  const part = (time - before) / (after - before);
  if (after - before > LONGEST_STEP_S) return boxes[part < 0.5 ? low - 1 : low];
  return boxes[low - 1].map((edge, i) => edge + part * (boxes[low][i] - edge));
}
