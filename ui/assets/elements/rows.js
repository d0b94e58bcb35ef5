/** A long list of which only what is in view is made: thousands of rows cost as much as twenty. */

import { fill, freshId, h } from '../core/dom.js';

const SPARE = 6;

/**
 * Sends `choose` with a row's item when one is clicked, or reached by the arrow keys, and `open` on Enter.
 *
 * Give it `rowHeight` and `make(item)`, which returns the children of a row, then `items`. With `keyOf(item)` rows can be marked, too,
 * several at once: by a click on the mark, by one with Ctrl, or with Shift from the row on that was chosen or marked last; `mark` is
 * sent then.
 */
class Rows extends HTMLElement {
  connectedCallback() {
    if (this.inner) return;
    this.rowPrefix = freshId('row');
    this.chosen = -1;
    this.list = [];
    this.made = new Map();
    this.keyOf ??= null;
    this.marks = new Set();
    this.anchor = null;
    this.inner = h('div.rows-inner', { role: 'presentation' });
    this.setAttribute('role', 'listbox');
    this.tabIndex = 0;
    fill(this, this.inner);
    this.addEventListener('scroll', () => this.draw(), { passive: true });
    this.addEventListener('keydown', (event) => this.press(event));
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this);
  }

  disconnectedCallback() {
    this.sizes.disconnect();
  }

  get items() {
    return this.list;
  }

  /** Show other items; the chosen one stays chosen if it is among them. */
  set items(list) {
    const before = this.list[this.chosen];
    this.list = list;
    this.chosen = list.indexOf(before);
    this.dropMarks();
    this.inner.style.height = `${list.length * this.rowHeight}px`;
    this.classList.toggle('none', !list.length);
    this.redraw();
  }

  /** Those that are marked, in their order. */
  get marked() {
    return this.marks.size ? this.list.filter((item) => this.marks.has(this.keyOf(item))) : [];
  }

  /** What is not in the list is not meant. */
  dropMarks() {
    if (!this.marks.size) return;
    const keys = new Set(this.list.map(this.keyOf));
    const size = this.marks.size;
    for (const key of this.marks) if (!keys.has(key)) this.marks.delete(key);
    if (this.marks.size !== size) this.tellMarks();
  }

  tellMarks() {
    this.redraw();
    this.dispatchEvent(new Event('mark'));
  }

  /** Mark an item, or no longer. */
  toggleMark(item) {
    const key = this.keyOf(item);
    if (!this.marks.delete(key)) this.marks.add(key);
    this.anchor = key;
    this.tellMarks();
  }

  clearMarks() {
    if (!this.marks.size) return;
    this.marks.clear();
    this.tellMarks();
  }

  markTo(i) {
    const from = this.list.findIndex((item) => this.keyOf(item) === this.anchor);
    const first = from < 0 ? i : from;
    for (let j = Math.min(first, i); j <= Math.max(first, i); j += 1) this.marks.add(this.keyOf(this.list[j]));
    this.tellMarks();
  }

  /** Make all visible rows anew: what they show has changed. */
  redraw() {
    for (const row of this.made.values()) row.remove();
    this.made.clear();
    this.draw();
  }

  /** Mark an item, and bring it into view. */
  choose(item, { isMoving = true } = {}) {
    this.chosen = this.list.indexOf(item);
    if (this.chosen >= 0 && this.keyOf) this.anchor = this.keyOf(item);
    if (this.chosen >= 0 && isMoving) {
      const top = this.chosen * this.rowHeight;
      if (top < this.scrollTop) this.scrollTop = top;
      else if (top + this.rowHeight > this.scrollTop + this.clientHeight) this.scrollTop = top + this.rowHeight - this.clientHeight;
    }
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.scrollTop / this.rowHeight) - SPARE);
    const last = Math.min(this.list.length, Math.ceil((this.scrollTop + this.clientHeight) / this.rowHeight) + SPARE);
    for (const [i, row] of this.made) {
      if (i >= first && i < last) continue;
      row.remove();
      this.made.delete(i);
    }
    for (let i = first; i < last; i += 1) {
      if (!this.made.has(i)) this.made.set(i, this.makeRow(i));
      this.made.get(i).setAttribute('aria-selected', String(i === this.chosen));
    }
    if (this.made.has(this.chosen)) this.setAttribute('aria-activedescendant', `${this.rowPrefix}-${this.chosen}`);
    else this.removeAttribute('aria-activedescendant');
  }

  makeRow(i) {
    const row = h('div.list-row', {
      id: `${this.rowPrefix}-${i}`, role: 'option', 'aria-setsize': String(this.list.length), 'aria-posinset': String(i + 1),
      style: { transform: `translateY(${i * this.rowHeight}px)`, height: `${this.rowHeight}px` },
      onclick: (event) => this.click(i, event),
    }, this.keyOf && this.markOf(this.list[i]), this.make(this.list[i]));
    // In their order, as they are read out.
    const next = [...this.made.entries()].filter(([other]) => other > i).sort(([a], [b]) => a - b)[0];
    this.inner.insertBefore(row, next ? next[1] : null);
    return row;
  }

  /** The item whose row an element is in; null where it is in none. */
  itemOf(element) {
    const row = element.closest?.('.list-row');
    return row ? (this.list[Number(row.getAttribute('aria-posinset')) - 1] ?? null) : null;
  }

  markOf(item) {
    const isOn = this.marks.has(this.keyOf(item));
    return h('span.mark', { title: 'Choose several (X)', class: isOn ? 'on' : null }, isOn ? h('span.hidden-text', {}, 'Marked: ') : null);
  }

  click(i, event) {
    if (this.keyOf && event.shiftKey) this.markTo(i);
    else if (this.keyOf && (event.ctrlKey || event.metaKey || event.target.closest('.mark'))) this.toggleMark(this.list[i]);
    else this.take(i, event);
  }

  take(i, event) {
    this.chosen = i;
    this.choose(this.list[i]);
    this.dispatchEvent(new CustomEvent('choose', { detail: this.list[i] }));
    if (event.detail > 1) this.dispatchEvent(new CustomEvent('open', { detail: this.list[i] }));
  }

  press(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (step !== undefined && this.list.length) {
      event.preventDefault();
      const i = Math.min(this.list.length - 1, Math.max(0, this.chosen + step));
      const { anchor } = this;
      this.take(i, event);
      if (!this.keyOf || !event.shiftKey) return;
      this.anchor = anchor ?? this.anchor;
      this.markTo(i);
    } else if (event.key === 'Enter' && this.chosen >= 0) {
      event.preventDefault();
      this.dispatchEvent(new CustomEvent('open', { detail: this.list[this.chosen] }));
    }
  }
}

customElements.define('fr-rows', Rows);
