/** A wall of cards of which only those in view are made: five thousand cost as much as fifty. It scrolls with the page. */

import { fill, h } from '../core/dom.js';

const GAP = 14;
const SPARE_ROWS = 3;

/** Give it `make(item)`, which returns a card whose first link takes the focus, `least`, `below` and `name`, then `items`. */
class Wall extends HTMLElement {
  connectedCallback() {
    this.list ??= [];
    this.made ??= new Map();
    if (!this.inner) {
      this.inner = h('ul.wall-inner', { 'aria-label': this.name ?? null });
      fill(this, this.inner);
      this.current = -1;
      this.addEventListener('focusin', (event) => this.enter(event.target));
    }
    this.draw = this.draw.bind(this);
    addEventListener('scroll', this.draw, { passive: true });
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this);
  }

  disconnectedCallback() {
    removeEventListener('scroll', this.draw);
    this.sizes.disconnect();
  }

  get items() {
    return this.list;
  }

  set items(list) {
    this.list = list;
    this.current = -1;
    this.clear();
    this.measure();
  }

  clear() {
    for (const card of this.made.values()) card.remove();
    this.made.clear();
  }

  /** Work out how many cards stand beside each other, and how high all of them are. */
  measure() {
    const width = this.clientWidth;
    if (!width) return;
    const columns = Math.max(1, Math.floor((width + GAP) / (this.least + GAP)));
    const cardWidth = (width - GAP * (columns - 1)) / columns;
    if (columns !== this.columns || cardWidth !== this.cardWidth) {
      Object.assign(this, { columns, cardWidth, rowHeight: Math.round(cardWidth) + this.below + GAP });
      this.clear();
    }
    this.inner.style.height = `${Math.max(0, Math.ceil(this.list.length / columns) * this.rowHeight - GAP)}px`;
    this.draw();
  }

  /** Make the cards that are in view, and no others; one that has the focus stays. */
  draw() {
    if (!this.columns) return;
    const top = -this.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / this.rowHeight) - SPARE_ROWS) * this.columns;
    const end = Math.min(this.list.length, (Math.ceil((top + innerHeight) / this.rowHeight) + SPARE_ROWS) * this.columns);
    for (const [i, card] of this.made) {
      if ((i < first || i >= end) && !card.contains(this.getRootNode().activeElement)) {
        card.remove();
        this.made.delete(i);
      }
    }
    for (let i = first; i < end; i += 1) if (!this.made.has(i)) this.add(i);
  }

  add(i) {
    const card = this.make(this.list[i]);
    card.setAttribute('aria-setsize', this.list.length);
    card.setAttribute('aria-posinset', i + 1);
    Object.assign(card.style, {
      width: `${this.cardWidth}px`,
      height: `${this.rowHeight - GAP}px`,
      transform: `translate(${(i % this.columns) * (this.cardWidth + GAP)}px, ${Math.floor(i / this.columns) * this.rowHeight}px)`,
    });
    card.place = i;
    this.made.set(i, card);
    // In their order, which is that of the Tab key.
    const after = [...this.inner.children].find((one) => one.place > i);
    this.inner.insertBefore(card, after ?? null);
  }

  enter(target) {
    const card = [...this.made.values()].find((one) => one.contains(target));
    if (card) this.current = card.place;
  }

  /** Move the focus by so many cards; a row is `columns`. */
  move(step) {
    if (!this.list.length) return;
    this.current = this.current < 0 ? 0 : Math.min(this.list.length - 1, Math.max(0, this.current + step));
    const top = Math.floor(this.current / this.columns) * this.rowHeight + this.getBoundingClientRect().top;
    const bar = 80;
    if (top < bar) scrollBy(0, top - bar);
    else if (top + this.rowHeight > innerHeight) scrollBy(0, top + this.rowHeight - innerHeight);
    this.draw();
    this.made.get(this.current).querySelector('a').focus({ preventScroll: true });
  }
}

customElements.define('fr-wall', Wall);

/**
 * Make one.
 *
 * @param {object} how `name` for readers of the screen, `least` width of a card, `below` room under its square picture, and `make(item)`.
 */
export function wall(how) {
  return Object.assign(document.createElement('fr-wall'), how);
}
