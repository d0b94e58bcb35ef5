/** What an edit would change, shown before it is applied: how much, for whom, with faces. */

import { link } from '../core/address.js';
import { at } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { bindKeys } from '../core/keys.js';
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
  const signs = [more && `+${more.toLocaleString('en')}`, fewer && `−${fewer.toLocaleString('en')}`].filter(Boolean).join(' ');
  return `${signs} in ${change.changed_videos === undefined ? 'at least ' : ''}${count(videos, 'video')}`;
}

/**
 * Draw a preview, with a button that applies it and one that leaves all as it is.
 *
 * @param {object} change What the service answered.
 * @param {{title: string, sum?: string, apply?: string, onapply?: () => void, oncancel?: () => void, disabled?: string|null, notes?: Node[], signal?: AbortSignal}} how
 *   `sum` is told in place of what changes for people; `disabled` says why it cannot be applied; `notes` are told below the sum.
 */
export function changePreview(change, { title, sum = changeInWords(change), apply = 'Apply', onapply, oncancel, disabled = null, notes = [], signal }) {
  // The keys are these buttons' as long as they are shown.
  const ending = new AbortController();
  signal?.addEventListener('abort', () => ending.abort());
  const once = (call) => () => (ending.abort(), call());
  const enter = onapply && once(onapply);
  const leave = oncancel && once(oncancel);
  const isShown = () => section.isConnected || ending.abort();
  bindKeys('What would change', [
    { keys: ['Enter'], does: apply, run: () => disabled === null && isShown() && enter?.() },
    { keys: ['Escape'], does: 'Leave it as it is', run: () => isShown() && leave?.() },
  ], ending.signal);
  const people = Object.entries(change.people).sort(([, one], [, other]) => total(other) - total(one));
  const list = h('ul.changes', {}, people.slice(0, FIRST).map(personChange));
  const more = people.length > FIRST && h('button', {
    type: 'button', onclick: (event) => (list.append(...people.slice(FIRST).map(personChange)), event.target.remove()),
  }, `Show ${count(people.length - FIRST, 'more person', 'more people')}`);
  const section = h('section.preview.card.stack', { 'aria-label': title },
    h('h3', {}, title),
    h('p.change-sum', { role: 'status' }, sum, change.tracks !== undefined && h('span.quiet', {}, ` · ${count(change.tracks, 'face')} in ${count(change.videos, 'video')} named again`)),
    ...notes,
    h('div.row', {},
      onapply && h('button.primary', { type: 'button', disabled: disabled !== null, title: disabled, onclick: enter }, apply, ' ', h('kbd', {}, 'Enter')),
      oncancel && h('button', { type: 'button', onclick: leave }, 'Leave as it is', ' ', h('kbd', {}, 'Esc'))),
    list, more || null);
  return section;
}

/** Draw a preview in `place`, ready for Enter. */
export function showPreview(place, change, how) {
  fill(place, changePreview(change, how));
  const apply = place.querySelector('button');
  if (apply.disabled) return;
  apply.focus();
  apply.scrollIntoView({ block: 'nearest' });
}

function total(one) {
  return one.added + one.removed;
}

function personChange([person, one]) {
  const signs = [one.added && `+${one.added}`, one.removed && `−${one.removed}`].filter(Boolean).join(' ');
  return h('li', {},
    h('div.row', {}, h('bdi', {}, person.replaceAll('_', ' ')), h('span.number.quiet', {}, signs)),
    h('ul.change-examples', {}, one.examples.map(exampleOf)));
}

function exampleOf(one) {
  const crop = `/v1/projects/${encodeURIComponent(project())}/videos/${one.video_id}/crops/${one.analysis_id}/${one.track_ids[0]}/0.jpg`;
  const [before, after] = [inWords(one.before), inWords(one.after)];
  return h('li', {},
    h('a', { href: link('/video', { project: project(), video: one.video_id, t: one.start_s.toFixed(2), track: one.track_ids[0] }), title: `${one.video} at ${clock(one.start_s)}${one.reason ? `: ${one.reason}` : ''}` },
      face(crop),
      h('span.from-to', {}, h('bdi', {}, before), ' → ', h('bdi', {}, after)),
      h('span.quiet.small.clip', {}, `${one.video} ${clock(one.start_s)}`)));
}

/** Who it is as the page says it; the service says "Undecidable" where it is not sure. */
function inWords(name) {
  return name === 'Undecidable' ? 'not sure' : (name ?? 'nobody');
}

/** Return the address where an edit of the project is asked for. */
export function edit(path) {
  return `${at`projects/${project()}`}/${path}`;
}
