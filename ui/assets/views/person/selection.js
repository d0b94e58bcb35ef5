/** What is selected of a person's pictures and appearances, and what can be done about it. */

import { h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { count } from '../../core/text.js';
import { nameField } from '../../elements/name_field.js';

/** A bar that is there while something is selected. Its parts are made once: what is typed into it stays while pages of tiles are read anew. */
export class SelectionBar {
  /**
   * @param {object} does What its buttons do, with what is selected then: `learn(pictures, isLearned)`, `confirm(moments)`, `reject(moments)`,
   *   `give(moments, who)`, which answers whether it was done, `clear()`, and `leave()`, which takes the focus where the tiles are.
   */
  constructor(does) {
    this.does = does;
    this.pictures = [];
    this.moments = [];
    const button = (text, key, run) => h('button', { type: 'button', ...closed(), onclick: run }, text, key && h('kbd', { 'aria-hidden': 'true' }, key));
    this.pictureCount = h('span');
    this.momentCount = h('span');
    this.name = h('bdi');
    this.field = may('curate')
      ? nameField('Who they are', { placeholder: 'It is… (I)', about: () => this.moments, onname: (who) => this.give(who), onleave: () => does.leave() })
      : button('It is…', 'I', () => {});
    this.ofPictures = h('div.selection-part', {}, this.pictureCount, button('Learn from them', null, () => does.learn(this.pictures, true)), button('Set them aside', null, () => does.learn(this.pictures, false)));
    this.ofMoments = h('div.selection-part', {}, this.momentCount,
      button(['Yes, ', this.name], 'Y', () => does.confirm(this.moments)),
      button('Not this person', 'N', () => does.reject(this.moments)),
      this.field);
    this.element = h('div.selection', { hidden: true, role: 'region', 'aria-label': 'What is selected' },
      this.ofPictures, this.ofMoments, h('button.bare', { type: 'button', onclick: () => does.clear() }, 'Select nothing'));
  }

  show(pictures, moments, identity) {
    const hadFocus = this.element.contains(this.element.getRootNode().activeElement);
    Object.assign(this, { pictures, moments });
    this.pictureCount.textContent = `${count(pictures.length, 'picture')} selected`;
    this.momentCount.textContent = `${count(moments.length, 'appearance')} selected`;
    this.name.textContent = identity;
    this.ofPictures.hidden = !pictures.length;
    this.ofMoments.hidden = !moments.length;
    this.element.hidden = !pictures.length && !moments.length;
    if (!moments.length && 'value' in this.field) this.field.value = '';
    if (hadFocus && this.element.hidden) this.does.leave();
  }

  /** A name that is refused stands in the field again. */
  async give({ identity, about, ...who }) {
    this.does.leave();
    if (!(await this.does.give(about, { identity, ...who })) && !this.ofMoments.hidden) this.field.value = identity;
  }

  openField() {
    this.field.focus();
  }
}

function closed() {
  return may('curate') ? {} : { disabled: true, title: lacks('curate') };
}
