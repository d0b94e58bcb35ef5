/** Several strangers who were chosen: all get one name, or are hidden, as one edit. */

import { at, post } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { notesOf } from '../../core/strangers.js';
import { count } from '../../core/text.js';
import { complain } from '../../core/toast.js';
import { showPreview } from '../../elements/change.js';
import { nameField } from '../../elements/name_field.js';

/** Who is chosen is who is marked in the view's list. */
export class Selection {
  constructor(view) {
    this.view = view;
    this.element = h('div.card.stack.several', { hidden: true });
    this.size = 0;
    this.previewed = null;
  }

  draw() {
    const chosen = this.view.rows.marks;
    const n = chosen.size;
    if (this.previewed !== null && this.previewed.ids !== [...chosen].join()) this.leavePreview({ isFocused: false });
    if (this.element.hidden !== (n === 0)) this.element.hidden = n === 0;
    if (this.size === n) return;
    this.size = n;
    if (!n) return;
    const tip = may('curate') ? null : lacks('curate');
    this.field = nameField(`Name of all ${n}`, { placeholder: `One name for ${n === 1 ? 'this one' : `all ${n}`}`, onname: (given) => this.name(given), onpreview: (given) => this.preview(given) });
    fill(this.element,
      h('div.row', {}, h('strong.grow', {}, `${n} chosen`), h('button', { type: 'button', disabled: tip !== null, title: tip, onclick: () => this.hide() }, 'Hide'),
        h('button', { type: 'button', onclick: () => this.clear([...chosen]) }, 'Clear')),
      tip === null ? [this.field, h('p.small.quiet', {}, 'Shift-Enter shows first what the name changes.')] : h('p.quiet.small', {}, tip));
  }

  /** Show what the name that is typed would change; Enter applies just that. */
  async preview(given) {
    const strangers = [...this.view.rows.marks];
    try {
      const answer = await post(this.address('name'), { strangers, person_id: given.person_id }, { query: { preview: true }, signal: this.view.inner.signal });
      if (strangers.join() !== [...this.view.rows.marks].join()) return;
      showPreview(this.view.preview, answer, {
        title: `${count(strangers.length, 'stranger')} named ${given.identity}`, notes: notesOf(answer), signal: this.view.inner.signal,
        onapply: () => {
          this.leavePreview();
          this.name(given, answer.version, strangers);
        },
        oncancel: () => this.leavePreview(),
      });
      this.previewed = { ids: strangers.join(), shown: this.view.preview.firstChild };
    } catch (error) {
      complain(error);
    }
  }

  leavePreview({ isFocused = true } = {}) {
    // Another preview may have taken its place.
    if (this.previewed?.shown === this.view.preview.firstChild) this.view.leavePreview({ isFocused: false });
    this.previewed = null;
    if (isFocused) this.field.focus();
  }

  name({ person_id: person, identity }, version = null, strangers = [...this.view.rows.marks]) {
    return this.settle(strangers, `${count(strangers.length, 'stranger')} named ${identity}`, () => post(this.address('name'), { strangers, person_id: person }, { query: { expect: version } }));
  }

  hide() {
    const strangers = [...this.view.rows.marks];
    return this.settle(strangers, `${count(strangers.length, 'stranger')} hidden`, () => post(this.address('hide'), { strangers }));
  }

  /** Who was settled is chosen no more; where it was refused all stay chosen. */
  async settle(strangers, text, send) {
    if (await this.view.send(text, send, strangers)) this.clear(strangers);
  }

  clear(strangers) {
    for (const id of strangers) this.view.rows.marks.delete(id);
    this.view.rows.tellMarks();
  }

  address(what) {
    return `${at`projects/${this.view.where}/strangers`}/${what}`;
  }
}
