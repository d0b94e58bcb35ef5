/** Questions that one key answers, one after the other: more are read as they are answered, and one whose answer is taken back is asked again. */

import { fill, h } from '../../core/dom.js';
import { apply, edits } from '../../core/edits.js';
import { bindKeys } from '../../core/keys.js';
import { lacks, may } from '../../core/session.js';
import { complain } from '../../core/toast.js';
import { loading } from '../../core/view.js';

/** Subclasses have `page(cursor)`, which reads some questions, `card(question)` and `none()`, which draw one and the end; and `waiting`. */
export class Questions {
  /**
   * @param {string} where The project.
   * @param {AbortSignal} signal Ends when something else is drawn in the view.
   */
  constructor(where, signal) {
    Object.assign(this, { where, signal, questions: [], i: 0, cursor: null, isAtEnd: false, reading: null, settled: new Set(), done: [] });
    this.place = h('div', {}, loading(this.waiting));
    edits.addEventListener('edit', ({ detail }) => this.undone(detail.owner), { signal });
  }

  /** Draw them in the view, below its head. */
  async begin(view, head, title, keys) {
    fill(view, head, this.place);
    bindKeys(title, [
      ...keys,
      { keys: ['s', 'ArrowRight'], does: 'Skip', run: () => this.next() },
      { keys: ['ArrowLeft'], does: 'Back to the one before', run: () => this.back() },
    ], this.signal);
    await this.draw();
  }

  /** The ids of those whom a question is about: once one of them is settled, it is asked no more. */
  about() {
    return [];
  }

  get current() {
    return this.questions[this.i];
  }

  /** Read on until there is a question, or no more. */
  async read() {
    while (this.i >= this.questions.length && !this.isAtEnd) {
      // Who goes on fast must not have the same page twice.
      this.reading ??= this.page(this.cursor).then((page) => {
        this.questions.push(...page.items);
        this.cursor = page.next_cursor;
        this.isAtEnd = page.next_cursor === null;
      }).finally(() => (this.reading = null));
      await this.reading;
    }
  }

  async draw() {
    if (this.i >= this.questions.length && !this.isAtEnd) fill(this.place, loading(this.waiting));
    await this.read();
    while (this.current && this.about(this.current).some((id) => this.settled.has(id))) {
      this.i += 1;
      await this.read();
    }
    fill(this.place, this.current ? this.card(this.current) : this.none());
  }

  /** Make a button of a card; `isOwn` says whether it changes names. */
  button(text, key, run, { isOwn = true, isFirst = false } = {}) {
    const isLacking = isOwn && !may('curate');
    return h('button', { type: 'button', class: isFirst ? 'primary' : null, disabled: isLacking, title: isLacking ? lacks('curate') : null, onclick: run }, text, h('kbd', { 'aria-hidden': 'true' }, key));
  }

  next() {
    if (this.current) this.i += 1;
    return this.draw().catch(complain);
  }

  back() {
    this.i = Math.max(0, this.i - 1);
    return this.draw().catch(complain);
  }

  /** Go on at once; the answer is sent in its turn. `settled` is who is asked about no more. */
  async answer(text, send, settled = null) {
    const place = this.i;
    if (settled !== null) this.settled.add(settled);
    this.next();
    if (await apply(text, send, this)) this.done.push({ place, settled });
    else await this.returnTo(place, settled);
  }

  returnTo(place, settled) {
    this.settled.delete(settled);
    this.i = place;
    return this.draw().catch(complain);
  }

  /** An answer was taken back: its question is asked again. */
  undone(owner) {
    const last = owner === this ? null : this.done.pop();
    if (last) this.returnTo(last.place, last.settled);
  }
}
