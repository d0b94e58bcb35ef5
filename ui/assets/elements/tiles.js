/** A grid of tiles that one goes through with the arrow keys, and of which several can be selected. */

import { fill, h } from '../core/dom.js';

/**
 * The first element of each tile takes the focus; one of them is a stop of the Tab key.
 *
 * A click with Shift selects all from the one before; what a plain click does is the tile's own matter.
 */
export class Tiles {
  /**
   * @param {object} how
   * @param {string} how.name For readers of the screen.
   * @param {string} how.kind A class.
   * @param {(item: object) => string} how.keyOf
   * @param {(item: object) => HTMLElement[]} how.make The children of a tile.
   * @param {() => void} how.onselect
   */
  constructor({ name, kind, keyOf, make, onselect }) {
    Object.assign(this, { keyOf, make, onselect });
    this.items = [];
    this.selected = new Set();
    this.current = 0;
    this.element = h('ul.tiles', { class: kind, 'aria-label': name });
    this.element.addEventListener('focusin', (event) => this.enter(event.target));
    this.element.addEventListener('click', (event) => event.shiftKey && this.pickTo(event), { capture: true });
  }

  /** Show these; what is selected and still there stays so, and so does the focus. */
  show(items) {
    const hadFocus = this.element.contains(this.element.getRootNode().activeElement);
    const keys = new Set(items.map(this.keyOf));
    this.items = items;
    this.selected = new Set([...this.selected].filter((key) => keys.has(key)));
    this.current = Math.max(0, Math.min(this.current, items.length - 1));
    fill(this.element, items.map((item, i) => this.tile(item, i)));
    if (hadFocus) this.handle(this.current)?.focus();
    this.onselect();
  }

  /** Show more of them. */
  append(items) {
    const first = this.items.length;
    this.items = [...this.items, ...items];
    this.element.append(...items.map((item, i) => this.tile(item, first + i)));
  }

  tile(item, i) {
    const tile = h('li', {}, this.make(item));
    tile.firstElementChild.tabIndex = i === this.current ? 0 : -1;
    this.mark(tile, this.selected.has(this.keyOf(item)));
    return tile;
  }

  mark(tile, isSelected) {
    tile.classList.toggle('selected', isSelected);
    const handle = tile.firstElementChild;
    if (isSelected) handle.setAttribute('aria-description', 'selected');
    else handle.removeAttribute('aria-description');
  }

  handle(i) {
    return this.element.children[i]?.firstElementChild ?? null;
  }

  placeOf(target) {
    return [...this.element.children].findIndex((tile) => tile.contains(target));
  }

  enter(target) {
    const place = this.placeOf(target);
    if (place < 0 || place === this.current) return;
    const before = this.handle(this.current);
    if (before) before.tabIndex = -1;
    this.current = place;
    this.handle(place).tabIndex = 0;
  }

  get hasFocus() {
    return this.element.contains(this.element.getRootNode().activeElement);
  }

  /** The one with the focus; null where none has it. */
  get focused() {
    return this.hasFocus ? (this.items[this.current] ?? null) : null;
  }

  /** Move the focus: by so many tiles, or by rows with `isRow`. Returns false at an end. */
  move(step, isRow = false) {
    const to = this.current + (isRow ? step * this.columns() : step);
    if (to < 0 || to >= this.items.length) return false;
    this.focus(to);
    return true;
  }

  focus(place = this.current) {
    const handle = this.handle(place);
    handle?.focus();
    handle?.scrollIntoView({ block: 'nearest' });
  }

  columns() {
    const tiles = [...this.element.children];
    const next = tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop);
    return next < 0 ? tiles.length : next;
  }

  /** Select the tile with the focus, or no longer. */
  pick() {
    this.toggle(this.current);
  }

  toggle(place, isSelected = !this.selected.has(this.keyOf(this.items[place]))) {
    const key = this.keyOf(this.items[place]);
    if (isSelected) this.selected.add(key);
    else this.selected.delete(key);
    this.last = place;
    this.mark(this.element.children[place], isSelected);
    this.onselect();
  }

  pickTo(event) {
    const place = this.placeOf(event.target);
    if (place < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const from = this.last ?? place;
    if (place === from) this.toggle(place);
    else for (let i = Math.min(from, place); i <= Math.max(from, place); i += 1) this.toggle(i, true);
    this.last = place;
    this.focus(place);
  }

  clear() {
    this.selected.clear();
    [...this.element.children].forEach((tile) => this.mark(tile, false));
    this.onselect();
  }

  /** What is meant: those that are selected, or the one with the focus. */
  get meant() {
    const selected = this.items.filter((item) => this.selected.has(this.keyOf(item)));
    return selected.length ? selected : [this.focused].filter(Boolean);
  }
}
