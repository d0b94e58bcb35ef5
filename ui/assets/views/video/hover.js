/** What a name rests on, at a glance: beside the box, row or lane that the pointer rests on. */

import { fill, h } from '../../core/dom.js';
import { glanceOf } from '../../elements/evidence.js';

const REST_MS = 350;
const GAP_PX = 8;

export class Hover {
  /** @param {import('../../core/view.js').View} view Whose boxes, rows and lanes they are; it tells of each who it is. */
  constructor(view) {
    this.view = view;
    this.card = h('div.glance.card', { hidden: true, 'aria-hidden': 'true' });
    if (!matchMedia('(hover: hover)').matches) return;
    for (const part of [view.player, view.rows, view.lanes]) {
      view.listen(part, 'pointermove', (event) => event.pointerType === 'mouse' && this.rest(part, event));
      view.listen(part, 'pointerleave', () => this.leave());
    }
    for (const type of ['keydown', 'pointerdown', 'wheel']) document.addEventListener(type, () => this.leave(), { signal: view.signal, capture: true, passive: true });
    view.listen(view.rows, 'scroll', () => this.leave());
  }

  rest(part, event) {
    const one = event.buttons ? null : this.oneAt(part, event);
    if (one && one === this.shown) return;
    this.leave();
    if (!one) return;
    this.shown = one;
    const { clientX: x, clientY: y } = event;
    this.timer = setTimeout(() => this.show(one, x, y), REST_MS);
  }

  oneAt(part, event) {
    const { view } = this;
    if (part === view.lanes) return view.lanes.appearanceAt(event);
    if (part === view.rows) return view.rows.itemOf(event.target);
    return view.ofTrack?.get(Number(event.target.closest?.('.box')?.dataset.track)) ?? null;
  }

  show(one, x, y) {
    const { card, view } = this;
    if (!one.evidence || !card.isConnected) return;
    fill(card, glanceOf(one, view.where, view.limit));
    card.hidden = false;
    const { width, height } = card.getBoundingClientRect();
    const left = x + GAP_PX + width > innerWidth ? x - GAP_PX - width : x + GAP_PX;
    const top = y + GAP_PX + height > innerHeight ? y - GAP_PX - height : y + GAP_PX;
    card.style.left = `${Math.max(GAP_PX, left)}px`;
    card.style.top = `${Math.max(GAP_PX, top)}px`;
  }

  leave() {
    clearTimeout(this.timer);
    this.shown = null;
    this.card.hidden = true;
  }
}
