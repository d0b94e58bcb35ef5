/** The file that a video's player plays: as it is, or where browsers cannot, one that is made of it, once. */

import { get, post, served } from '../../core/api.js';
import { h } from '../../core/dom.js';
import { loading } from '../../core/view.js';

const POLL_MS = 1000;
const UNKNOWN_SIZE = { width: 16, height: 9, sample_aspect_ratio: 1 };

export class Playback {
  /** @param {import('../../core/view.js').View} view Of the video; it tells what is known of its frames. */
  constructor(view) {
    this.view = view;
    this.found = null;
  }

  async play() {
    const { view } = this;
    const found = await get(view.at`/playback`, { signal: view.signal }).catch((error) => (error.isAway || error.name === 'AbortError' ? Promise.reject(error) : error));
    if (found instanceof Error) return view.player.tell(h('p', {}, found.message));
    if (found.state !== 'ready') return this.make(found);
    this.found = found;
    view.player.load(served(found.url), view.frames ?? UNKNOWN_SIZE, { offset: this.offset, at: view.beginsAt });
  }

  /** Have a file made that browsers play, and play it. */
  async make(found = null) {
    const { view } = this;
    view.player.tell(loading('Browsers do not play this file as it is. A version that they play is being made, once…'));
    try {
      if (found?.state !== 'making') await post(view.at`/rendition`);
      await view.every(POLL_MS, async () => {
        const now = await get(view.at`/playback`, { signal: view.signal });
        if (now.state === 'making') return true;
        if (now.state === 'ready') await this.play();
        else view.player.tell(h('p', {}, now.why ?? 'It cannot be played.'));
        return false;
      });
    } catch (error) {
      if (error.status === undefined) throw error;
      view.player.tell(h('p', {}, error.message));
    }
  }

  /** The size of the pictures, and when they begin, is known by now. */
  fit() {
    const { view } = this;
    if (view.player.view) view.player.show(view.frames, { offset: this.offset });
  }

  /** What the file's own clock says at time 0: one that plays as it is has its own, and what was made of it begins at 0. */
  get offset() {
    return this.found?.why === null ? (this.view.frames?.start_pts_s ?? 0) : 0;
  }
}
