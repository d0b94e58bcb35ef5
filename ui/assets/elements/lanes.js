/** Who is in view when: a lane for each person, which zooms and seeks. */

import { fill, h, icon } from '../core/dom.js';
import { clock, length } from '../core/text.js';

const LANE_PX = 28;
const BAR_PX = 14;
const LEAST_PX = 2;
const CLOSEST_S = 2;
const HELD_MS = 500;
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const EYE = 'M2 12s3.5-7 10-7 10 7 10 7-3.5 7-10 7S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z';
const NO_EYE = 'M3 3l18 18M10.6 5.1A10 10 0 0 1 12 5c6.5 0 10 7 10 7a17 17 0 0 1-3.2 4M6.5 6.7C3.6 8.6 2 12 2 12s3.5 7 10 7a10 10 0 0 0 4-.8';

/**
 * Sends `seek` with a time, `choose` with an appearance, and `legend` with `{key, only}` where a lane is switched.
 *
 * Give it `lanes`, `[{key, label, colour, isShown, screenS, appearances}]`, `end` (seconds) and `cuts`, then call `draw`.
 */
class Lanes extends HTMLElement {
  connectedCallback() {
    if (this.canvas) return;
    this.lanes = [];
    this.cuts = [];
    this.end = 1;
    this.from = 0;
    this.span = null;
    this.time = 0;
    this.chosen = null;
    this.legend = h('ul.legend', { 'aria-label': 'Who is shown' });
    this.canvas = h('canvas', { role: 'img', 'aria-label': 'Who is in view when' });
    this.area = h('div.lane-area', {}, this.canvas);
    const button = (text, label, call) => h('button.bare', { type: 'button', 'aria-label': label, title: label, onclick: call }, text);
    this.tools = h('div.row.small', {}, h('span.quiet', {}, 'Timeline'),
      h('div.row.end', {}, button('−', 'Zoom out', () => this.zoom(2)), button('+', 'Zoom in', () => this.zoom(0.5)), button('Whole video', 'Show the whole video', () => this.whole())));
    fill(this, this.tools, h('div.lane-rows', {}, this.legend, this.area));
    this.area.addEventListener('pointerdown', (event) => this.press(event));
    this.area.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    this.sizes = new ResizeObserver(() => this.paint());
    this.sizes.observe(this.area);
  }

  disconnectedCallback() {
    this.sizes.disconnect();
  }

  get shownS() {
    return this.span ?? this.end;
  }

  /** Draw everything: what is known of the lanes has changed. */
  draw() {
    fill(this.legend, this.lanes.map((lane) => this.switchOf(lane)));
    this.paint();
  }

  switchOf({ key, label, colour, isShown, screenS }) {
    return h('li', {},
      h('button.bare', {
        type: 'button', 'aria-pressed': String(isShown), title: 'Show or hide; with Alt, or held for a moment, this one alone',
        onclick: (event) => this.switch(key, event.altKey || this.isHeld),
        // A finger has no Alt key: it stays for a moment.
        onpointerdown: (event) => this.hold(event),
        oncontextmenu: (event) => this.isHeld && event.preventDefault(),
      }, h('span.dot', { style: { background: colour } }), h('bdi.clip', {}, label), h('span.quiet.small.number', {}, length(screenS)), icon(isShown ? EYE : NO_EYE)));
  }

  switch(key, only) {
    this.isHeld = false;
    this.dispatchEvent(new CustomEvent('legend', { detail: { key, only } }));
  }

  hold({ target }) {
    this.isHeld = false;
    const timer = setTimeout(() => (this.isHeld = true), HELD_MS);
    for (const type of ['pointerup', 'pointerleave', 'pointercancel']) target.addEventListener(type, () => clearTimeout(timer), { once: true });
  }

  whole() {
    this.span = null;
    this.from = 0;
    this.paint();
  }

  /** Show more or less, around a time. */
  zoom(factor, around = this.time) {
    const span = Math.min(this.end, Math.max(CLOSEST_S, this.shownS * factor));
    const part = (around - this.from) / this.shownS;
    this.span = span < this.end ? span : null;
    this.from = Math.min(Math.max(0, around - part * span), this.end - span);
    this.paint();
  }

  wheel(event) {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(event));
    } else if (this.span !== null && Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      this.from = Math.min(Math.max(0, this.from + (event.deltaX / this.canvas.clientWidth) * this.span), this.end - this.span);
      this.paint();
    }
  }

  timeAt(event) {
    const { left, width } = this.canvas.getBoundingClientRect();
    return this.from + (Math.min(Math.max(0, event.clientX - left), width) / width) * this.shownS;
  }

  /** The appearance that the pointer is over; null where there is none. */
  appearanceAt(event) {
    if (event.target !== this.canvas && event.target !== this.area) return null;
    const time = this.timeAt(event);
    const row = Math.floor((event.clientY - this.canvas.getBoundingClientRect().top) / LANE_PX) - 1;
    const slack = (4 / this.canvas.clientWidth) * this.shownS;
    return this.lanes[row]?.appearances.find((one) => one.start_s - slack <= time && time <= one.end_s + slack) ?? null;
  }

  press(event) {
    const time = this.timeAt(event);
    const hit = this.appearanceAt(event);
    if (hit) this.dispatchEvent(new CustomEvent('choose', { detail: hit }));
    this.dispatchEvent(new CustomEvent('seek', { detail: time }));
    const drag = (move) => this.dispatchEvent(new CustomEvent('seek', { detail: this.timeAt(move) }));
    this.area.setPointerCapture(event.pointerId);
    this.area.addEventListener('pointermove', drag);
    for (const type of ['pointerup', 'pointercancel']) this.area.addEventListener(type, () => this.area.removeEventListener('pointermove', drag), { once: true });
  }

  /** The video is at another time. */
  at(time) {
    this.time = time;
    // Zoomed in, the lanes go along page by page, as a score is read.
    if (this.span !== null && (time < this.from || time > this.from + this.span)) this.from = Math.min(Math.max(0, time - 0.05 * this.span), this.end - this.span);
    this.paint();
  }

  paint() {
    const width = this.area.clientWidth;
    const height = (this.lanes.length + 1) * LANE_PX;
    if (!width) return;
    const ratio = devicePixelRatio;
    const { canvas } = this;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
    }
    const style = getComputedStyle(this);
    const c = canvas.getContext('2d');
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    const x = (time) => ((time - this.from) / this.shownS) * width;
    this.paintScale(c, x, width, height, style);
    this.lanes.forEach((lane, row) => {
      const y = (row + 1) * LANE_PX + (LANE_PX - BAR_PX) / 2;
      c.globalAlpha = lane.isShown ? 1 : 0.25;
      c.fillStyle = lane.colour;
      for (const one of lane.appearances) {
        const [left, right] = [x(one.start_s), x(one.end_s)];
        if (right < 0 || left > width) continue;
        c.beginPath();
        c.roundRect(left, y, Math.max(LEAST_PX, right - left), BAR_PX, 3);
        c.fill();
        if (one === this.chosen) {
          c.strokeStyle = style.getPropertyValue('--ink');
          c.lineWidth = 2;
          c.stroke();
        }
      }
    });
    c.globalAlpha = 1;
    c.fillStyle = style.getPropertyValue('--wrong');
    c.fillRect(x(this.time) - 1, 0, 2, height);
  }

  paintScale(c, x, width, height, style) {
    const [quiet, edge] = [style.getPropertyValue('--quiet'), style.getPropertyValue('--edge')];
    const step = STEPS_S.find((one) => (one / this.shownS) * width > 70) ?? 7200;
    c.font = '11px system-ui, sans-serif';
    c.textBaseline = 'middle';
    for (let time = Math.ceil(this.from / step) * step; time <= this.from + this.shownS; time += step) {
      c.fillStyle = edge;
      c.fillRect(x(time), LANE_PX - 6, 1, height);
      c.fillStyle = quiet;
      c.fillText(clock(time, step < 1 ? 1 : 0), x(time) + 4, LANE_PX / 2);
    }
    c.fillStyle = quiet;
    for (const cut of this.cuts) c.fillRect(x(cut), LANE_PX - 4, 1, 4);
  }
}

customElements.define('fr-lanes', Lanes);
