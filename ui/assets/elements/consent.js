/** What was agreed with a person, and until when: shown, and set. */

import { at, get, put, remove } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { lacks, may } from '../core/session.js';
import { moment } from '../core/text.js';
import { complain, toast } from '../core/toast.js';

/** Return a section about it, which reads what there is. */
export function consentOf(where, person, signal) {
  const place = h('section.card.stack', { 'aria-label': 'Consent' });
  if (may('curate')) read(place, where, person, signal);
  else fill(place, h('h2', {}, 'Consent'), h('p.quiet', {}, lacks('curate')));
  return place;
}

const address = (where, person) => at`projects/${where}/people/${person}/consent`;

async function read(place, where, person, signal) {
  try {
    show(place, where, person, await get(address(where, person), { query: { or_null: true }, signal }));
  } catch (error) {
    if (error.name !== 'AbortError') fill(place, h('h2', {}, 'Consent'), h('p.quiet', {}, error.message));
  }
}

function show(place, where, person, agreed) {
  const day = agreed?.until && new Date(`${agreed.until}T00:00:00Z`).toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  fill(place,
    h('div.row', {}, h('h2.grow', {}, 'Consent'), agreed?.is_over && h('span.tag.wrong', {}, 'it is over')),
    agreed
      ? [h('p.agreed', {}, agreed.note), h('p.quiet.small', {}, day ? `Until ${day}. ` : 'Until it is taken back. ', `Noted ${moment(agreed.updated_at)}${agreed.updated_by ? ` by ${agreed.updated_by}` : ''}.`)]
      : h('p.quiet', {}, 'Nothing is noted: on what ground their face is kept, and until when.'),
    h('div.row', {},
      h('button', { type: 'button', onclick: () => edit(place, where, person, agreed) }, agreed ? 'Change' : 'Note it'),
      agreed && h('button.link.danger', { type: 'button', onclick: () => take(place, where, person, agreed) }, 'Remove the note')));
}

function edit(place, where, person, agreed) {
  const text = h('textarea', { rows: '3', maxlength: '2000', required: true, value: agreed?.note ?? '' });
  const until = h('input', { type: 'date', value: agreed?.until ?? '' });
  const form = h('form.stack', {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await keep(place, where, person, { note: text.value, until: until.value || null });
        toast('Noted what was agreed');
      } catch (error) {
        complain(error);
      }
    },
  },
    h('label.stack', {}, 'What was agreed: the form, and where it is', text),
    h('label.stack', {}, 'The last day on which it holds (open: until it is taken back)', until),
    h('div.row', {}, h('button.primary', { type: 'submit' }, 'Save'), h('button', { type: 'button', onclick: () => show(place, where, person, agreed) }, 'Cancel')));
  fill(place, h('h2', {}, 'Consent'), form);
  text.focus();
}

async function keep(place, where, person, { note, until }) {
  show(place, where, person, await put(address(where, person), { note, until }));
}

/** Remove a note; it can be put back. */
async function take(place, where, person, agreed) {
  try {
    await remove(address(where, person));
    show(place, where, person, null);
    toast('Removed the note of what was agreed', { action: { label: 'Undo', run: () => keep(place, where, person, agreed).catch(complain) } });
  } catch (error) {
    complain(error);
  }
}
