/** What an edit would change, shown before it is applied: how much, for whom, with faces. */

import { link } from '../core/address.js';
import { at } from '../core/api.js';
import { h } from '../core/dom.js';
import { project } from '../core/session.js';
import { clock, count } from '../core/text.js';
import { face } from './face.js';

const FIRST = 12;

/** Return "+12 −3 in 5 videos". */
export function changeInWords(change) {
  const all = Object.values(change.people);
  const [more, fewer] = ['added', 'removed'].map((name) => all.reduce((sum, one) => sum + one[name], 0));
  if (!all.length) return 'Nothing changes';
  const seen = new Set(all.flatMap((one) => one.examples.map((example) => example.video_id))).size;
  const videos = change.changed_videos ?? seen;
  return `+${more.toLocaleString('en')} −${fewer.toLocaleString('en')} in ${videos === seen && change.changed_videos === undefined ? 'at least ' : ''}${count(videos, 'video')}`;
}

/**
 * Draw a preview, with a button that applies it and one that leaves all as it is.
 *
 * @param {object} change What the service answered.
 * @param {{title: string, apply?: string, onapply?: () => void, oncancel?: () => void, disabled?: string|null}} how `disabled` says why it
 *   cannot be applied.
 */
export function changePreview(change, { title, apply = 'Apply', onapply, oncancel, disabled = null }) {
  const people = Object.entries(change.people).sort(([, one], [, other]) => total(other) - total(one));
  const list = h('ul.changes', {}, people.slice(0, FIRST).map(personChange));
  const more = people.length > FIRST && h('button', {
    type: 'button', onclick: (event) => (list.append(...people.slice(FIRST).map(personChange)), event.target.remove()),
  }, `Show ${count(people.length - FIRST, 'more person', 'more people')}`);
  return h('section.preview.card.stack', { 'aria-label': title },
    h('h3', {}, title),
    h('p.change-sum', { role: 'status' }, changeInWords(change), h('span.quiet', {}, ` · ${count(change.tracks, 'face')} in ${count(change.videos, 'video')} named again`)),
    h('div.row', {},
      onapply && h('button.primary', { type: 'button', disabled: disabled !== null, title: disabled, onclick: onapply }, apply, ' ', h('kbd', {}, 'Enter')),
      oncancel && h('button', { type: 'button', onclick: oncancel }, 'Leave as it is', ' ', h('kbd', {}, 'Esc'))),
    list, more || null);
}

function total(one) {
  return one.added + one.removed;
}

function personChange([person, one]) {
  const signs = [one.added && `+${one.added}`, one.removed && `−${one.removed}`].filter(Boolean).join(' ');
  return h('li', {},
    h('div.row', {}, h('bdi', {}, person.replaceAll('_', ' ')), h('span.number.quiet', {}, signs)),
    h('ul.examples', {}, one.examples.map(exampleOf)));
}

function exampleOf(one) {
  const crop = `/v1/projects/${encodeURIComponent(project())}/videos/${one.video_id}/crops/${one.analysis_id}/${one.track_ids[0]}/0.jpg`;
  const [before, after] = [one.before ?? 'nobody', one.after ?? 'nobody'];
  return h('li', {},
    h('a', { href: link('/video', { project: project(), video: one.video_id, t: one.start_s.toFixed(2), track: one.track_ids[0] }), title: `${one.video} at ${clock(one.start_s)}${one.reason ? `: ${one.reason}` : ''}` },
      face(crop),
      h('span.from-to', {}, h('bdi', {}, before), ' → ', h('bdi', {}, after)),
      h('span.quiet.small.clip', {}, `${one.video} ${clock(one.start_s)}`)));
}

/** Return the address where an edit of the project is asked for. */
export function edit(path) {
  return `${at`projects/${project()}`}/${path}`;
}
