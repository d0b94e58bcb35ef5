/** Making one person of two, after a preview; and taking apart who was merged. */

import { at, post } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { apply } from '../../core/edits.js';
import { closesWithEscape } from '../../core/keys.js';
import { people } from '../../core/people.js';
import { lacks, may } from '../../core/session.js';
import { count, moment } from '../../core/text.js';
import { complain, toast } from '../../core/toast.js';
import { showPreview } from '../../elements/change.js';
import { nameField } from '../../elements/name_field.js';

/** The card in which one tells who a person is, sees what that changes, and does it. */
export class Merging {
  /**
   * @param {() => {where: string, person: string, identity: string, pictures: number}} about Who is merged.
   * @param {(address: string, into: string, identity: string, version: number) => Promise<void>} merge
   */
  constructor(about, merge, signal) {
    Object.assign(this, { about, merge, signal });
    this.element = h('div');
    this.preview = h('div');
  }

  open() {
    const field = nameField('Who they are: the name that stays', { placeholder: 'The name that stays', onname: (who) => this.show(who), onleave: () => this.close() });
    fill(this.preview);
    fill(this.element, closesWithEscape(h('section.card.stack.merge', { 'aria-label': 'Merge with another person' },
      h('div.row', {}, h('h2.grow', {}, 'Merge ', h('bdi', {}, this.about().identity), ' with another person'), h('button.bare', { type: 'button', 'aria-label': 'Close', onclick: () => this.close() }, '×')),
      field, this.preview), () => this.close()));
    field.focus();
  }

  close() {
    fill(this.element);
  }

  /** Show what merging would change, before it is done. */
  async show({ person_id: into, identity }) {
    const { where, person, identity: own, pictures } = this.about();
    const address = at`projects/${where}/people/${person}/merge`;
    if (into === person) return toast('This is the same person.', { tone: 'wrong' });
    if (!(await people(where)).some((one) => one.person_id === into)) return toast(`Nobody is called ${identity}. To give another name, rename.`, { tone: 'wrong' });
    fill(this.preview, h('p.quiet', { role: 'status' }, 'Working out what changes…'));
    try {
      const preview = await post(address, { person_id: into }, { query: { preview: true }, signal: this.signal });
      showPreview(this.preview, preview, {
        title: `${own} becomes ${identity}: ${count(pictures, 'picture')} and all appearances go there`,
        apply: 'Make them one', signal: this.signal,
        onapply: () => this.merge(address, into, identity, preview.version).then(() => this.close()),
        oncancel: () => this.close(),
      });
    } catch (error) {
      fill(this.preview);
      complain(error);
    }
    return null;
  }
}

/**
 * Show who was merged with a person, each with a button that takes them apart: at once, since that can be undone.
 *
 * `leave` takes the focus when a button with it goes.
 */
export function showMerged(place, merged, { where, person, identity }, leave) {
  const shown = JSON.stringify([merged, where, person, identity]);
  if (place.dataset.shown === shown) return;
  place.dataset.shown = shown;
  const closed = may('curate') ? {} : { disabled: true, title: lacks('curate') };
  const busy = new Set();
  const split = async (one) => {
    if (busy.has(one)) return;
    busy.add(one);
    const answer = await apply(`${one.identity} and ${identity} are two people again`,
      () => post(at`projects/${where}/people/${one.person_id}/unmerge`, undefined, { query: { from_person: person } }));
    busy.delete(one);
    if (answer && place.contains(place.getRootNode().activeElement)) leave();
  };
  fill(place, merged.length > 0 && h('section.part', { 'aria-label': 'Merged with this person' },
    h('h2', {}, 'Merged with this person'),
    h('ul.merged', {}, merged.map((one) => h('li.row', {},
      h('span.grow', {}, h('bdi', {}, one.identity), h('span.quiet.small', {}, ` · ${moment(one.merged_at)} · ${count(one.faces, 'picture')}`)),
      h('button', { type: 'button', ...closed, 'aria-label': `Take ${one.identity} apart`, onclick: () => split(one) }, 'Take apart'))))));
}
