/** A video with the faces that are in it: each box is a button that stands where the face is in the frame that is shown. */

import { fill, h } from '../core/dom.js';
import { clock } from '../core/text.js';

// After a seek the frame tells its own time, mostly: where it does not, what was asked for is as good.
const FRAME_WAIT_MS = 80;

/**
 * Sends `time` with the time of the frame that is shown, `pick` with a track's id, and `rename` with it where its box was clicked
 * twice, and `asked` when the field of `ask` was answered or left.
 *
 * Give it `tracks` (`Tracks`), `describe(track_id)` (`{label, colour, isShown}`), and then `load`.
 */
class Player extends HTMLElement {
  connectedCallback() {
    if (this.video) return;
    this.video = h('video', { controls: true, preload: 'auto', playsinline: true });
    this.layer = h('div.boxes');
    this.told = h('div.player-state', { hidden: true });
    this.asking = h('div.box-name', { hidden: true });
    this.pool = new Map();
    this.time = 0;
    this.offset = 0;
    this.wanted = null;
    this.chosen = null;
    fill(this, this.video, this.layer, this.asking, this.told);
    this.video.addEventListener('loadedmetadata', () => {
      this.fit();
      this.seek(this.wanted);
    });
    this.video.addEventListener('seeked', () => this.isSeekWaiting && this.goToWanted());
    this.video.addEventListener('seeked', () => setTimeout(() => this.isDrawnAt !== this.video.currentTime && this.drawFrame(this.video.currentTime), FRAME_WAIT_MS));
    this.video.addEventListener('error', () => this.video.src && this.dispatchEvent(new Event('unplayable')));
    this.sizes = new ResizeObserver(() => this.fit());
    this.sizes.observe(this);
  }

  disconnectedCallback() {
    this.sizes.disconnect();
    this.video.removeAttribute('src');
    this.video.load();
  }

  /**
   * @param {string} src
   * @param {{width: number, height: number, sample_aspect_ratio: number}} view Of the frames.
   * @param {{offset: number, at: number}} when What the file's own clock says at time 0, and where to begin.
   */
  load(src, view, { offset, at }) {
    this.told.hidden = true;
    this.show(view, { offset });
    // Who has chosen a moment meanwhile begins there.
    this.wanted ??= at;
    this.time = this.wanted;
    this.video.src = src;
    this.follow();
  }

  /** Take what is known of the frames; see `load`. */
  show(view, { offset }) {
    this.view = view;
    this.offset = offset;
    this.style.setProperty('--ratio', String((view.width * view.sample_aspect_ratio) / view.height));
    this.fit();
  }

  /** Show a text in the video's place. */
  tell(...children) {
    this.told.hidden = false;
    fill(this.told, ...children);
  }

  get isPlaying() {
    return !this.video.paused;
  }

  toggle() {
    if (this.video.paused) this.video.play();
    else this.video.pause();
  }

  /** Go to a time, in seconds from the first frame. */
  seek(time) {
    this.time = Math.max(0, time);
    this.wanted = this.time;
    // Browsers may stand still for ever where one seek follows on another that is on its way: the last one waits for it.
    this.isSeekWaiting = this.video.seeking;
    if (this.video.readyState && !this.isSeekWaiting) this.goToWanted();
  }

  goToWanted() {
    this.isSeekWaiting = false;
    // A frame's own time lies within the frame, not on its edge, which rounding may miss.
    this.video.currentTime = this.wanted + this.offset + 1e-3;
  }

  /** Draw with each frame that is shown, by the time that it tells of itself. */
  follow() {
    const call = (_, { mediaTime }) => {
      if (!this.isConnected) return;
      // On the way to another place, what is shown for a moment is not where the visitor is.
      if (!this.video.seeking) this.drawFrame(mediaTime);
      this.video.requestVideoFrameCallback(call);
    };
    this.video.requestVideoFrameCallback(call);
  }

  /** Draw for the frame that is of a time by the file's own clock. */
  drawFrame(mediaTime) {
    this.isDrawnAt = this.video.currentTime;
    this.draw(mediaTime - this.offset);
  }

  fit() {
    const { width, height } = this.video.getBoundingClientRect();
    this.scale = this.view ? [width / this.view.width, height / this.view.height] : [1, 1];
    this.again();
  }

  /** Draw what is shown once more: names or switches have changed. */
  again() {
    this.draw(this.time);
  }

  draw(time) {
    this.time = time;
    const alive = new Set();
    for (const [id, box] of this.tracks?.at(time + 5e-4) ?? []) {
      const { label, colour, isShown } = this.describe(id);
      if (!isShown) continue;
      alive.add(id);
      this.place(this.pool.get(id) ?? this.make(id), box, label, colour);
    }
    for (const [id, element] of this.pool) {
      if (alive.has(id)) continue;
      element.remove();
      this.pool.delete(id);
    }
    this.dispatchEvent(new CustomEvent('time', { detail: time }));
  }

  /** Show a field for a name at a box that is in view; the video waits. It closes when it is left. */
  ask(id, field) {
    this.video.pause();
    fill(this.asking, field);
    this.asking.dataset.of = String(id);
    this.asking.hidden = false;
    this.placeAsking(id);
    const close = () => this.closeAsking(field) && this.dispatchEvent(new Event('asked'));
    field.addEventListener('leave', close);
    field.addEventListener('name', close);
    // Who goes to another window comes back to the field; who goes elsewhere on the page stays there.
    field.addEventListener('focusout', (event) => event.relatedTarget && !field.contains(event.relatedTarget) && this.closeAsking(field));
    field.focus();
  }

  closeAsking(field) {
    if (!this.asking.contains(field)) return false;
    this.asking.hidden = true;
    fill(this.asking);
    return true;
  }

  placeAsking(id) {
    const [box, all] = [this.pool.get(id).getBoundingClientRect(), this.getBoundingClientRect()];
    const { width, height } = this.asking.getBoundingClientRect();
    this.asking.style.left = `${Math.max(0, Math.min(box.left - all.left, all.width - width))}px`;
    this.asking.style.top = `${Math.max(0, Math.min(box.bottom - all.top + 4, all.height - height))}px`;
  }

  make(id) {
    const tell = (name) => () => this.dispatchEvent(new CustomEvent(name, { detail: id }));
    const element = h('button.box', { type: 'button', dataset: { track: String(id) }, onclick: tell('pick'), ondblclick: tell('rename') }, h('bdi.label'));
    this.pool.set(id, element);
    this.layer.append(element);
    return element;
  }

  place(element, [x1, y1, x2, y2], label, colour) {
    const [sx, sy] = this.scale;
    const { style } = element;
    style.transform = `translate(${(x1 * sx).toFixed(2)}px, ${(y1 * sy).toFixed(2)}px)`;
    style.width = `${((x2 - x1) * sx).toFixed(2)}px`;
    style.height = `${((y2 - y1) * sy).toFixed(2)}px`;
    const isChosen = element.dataset.track === String(this.chosen);
    const drawn = `${label}|${colour}|${isChosen}`;
    if (element.drawn !== drawn) {
      element.drawn = drawn;
      style.setProperty('--colour', colour);
      element.firstChild.textContent = label;
      element.setAttribute('aria-label', label);
      element.classList.toggle('chosen', isChosen);
    }
    element.classList.toggle('below', y1 * sy < 22);
  }

  /** Where the player is, for a reader. */
  get shownTime() {
    return clock(this.time, 1);
  }
}

customElements.define('fr-player', Player);
