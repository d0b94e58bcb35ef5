/** What a card shows of its video: asked for when it comes into view, for all that come at once. */

import { at, get } from '../../core/api.js';
import { complain } from '../../core/toast.js';

const WAIT_MS = 60;
const MOST = 60;
const SHOWN = 4;
const AHEAD = '400px';

/** Reads glances of the videos whose cards are seen, and keeps them; the rest of the archive costs nothing. */
export class Glances {
  constructor(where, signal) {
    this.where = where;
    this.signal = signal;
    this.known = new Map();
    this.waiting = new Map();
    this.wanted = new Map();
    this.eyes = new IntersectionObserver((seen) => seen.forEach((one) => one.isIntersecting && this.isSeen(one.target)), { rootMargin: AHEAD });
    signal.addEventListener('abort', () => this.eyes.disconnect());
  }

  /**
   * Call `show` with the glance of a video once its element is seen; at once where it is known.
   *
   * @param {string} state Another one means that what was read is out of date.
   */
  watch(element, videoId, state, show) {
    const known = this.known.get(videoId);
    if (known?.state === state) {
      show(known.glance);
      return;
    }
    if (known) show(known.glance);
    this.wanted.set(element, { videoId, state, show });
    this.eyes.unobserve(element);
    this.eyes.observe(element);
  }

  isSeen(element) {
    const wanted = this.wanted.get(element);
    this.eyes.unobserve(element);
    this.wanted.delete(element);
    if (!wanted) return;
    this.waiting.set(wanted.videoId, wanted);
    this.timer ??= setTimeout(() => this.read(), WAIT_MS);
  }

  async read() {
    const batch = [...this.waiting.values()].slice(0, MOST);
    for (const { videoId } of batch) this.waiting.delete(videoId);
    try {
      const ids = batch.map((one) => one.videoId);
      const found = new Map((await get(at`projects/${this.where}/glances`, { query: { video: ids, most: SHOWN }, signal: this.signal })).map((one) => [one.video_id, one]));
      for (const { videoId, state, show } of batch) {
        const glance = found.get(videoId);
        if (!glance) continue;
        this.known.set(videoId, { state, glance });
        show(glance);
      }
    } catch (error) {
      // Without them the cards say less, and nothing that is wrong.
      if (!error.isAway) complain(error);
    }
    this.timer = this.waiting.size ? setTimeout(() => this.read(), WAIT_MS) : undefined;
  }
}
