/** What an edit would change, with some of the faces, before it is applied. */

import { link } from '../core/address.js';
import { fill, h } from '../core/dom.js';
import { clock, count } from '../core/text.js';
import { face } from './face.js';

const SHOWN = 6;

/** Return one line for each person: "+12 −3 appearances". */
function line(name, { added, removed }) {
  const parts = [added && `+${added}`, removed && `−${removed}`].filter(Boolean).join(' ');
  return [h('bdi.strong', {}, name), ' ', h('span.number', {}, parts), ` ${added + removed === 1 ? 'appearance' : 'appearances'}`];
}

function example(project, one) {
  const crop = `/v1/projects/${encodeURIComponent(project)}/videos/${encodeURIComponent(one.video_id)}/crops/${one.analysis_id}/${one.track_ids[0]}/0.jpg`;
  const text = `${one.before ?? 'nobody'} → ${one.after ?? 'nobody'}`;
  return h('li', {},
    h('a.figure', { href: link('/video', { project, video: one.video_id, t: one.start_s.toFixed(2) }), title: `${one.video} · ${clock(one.start_s)}` },
      face(crop, ''), h('bdi.small.clip', {}, text), h('span.small.quiet.clip', {}, `${one.video} · ${clock(one.start_s)}`)));
}

/**
 * Show a preview in a place; its buttons apply or leave it.
 *
 * @param {HTMLElement} place
 * @param {{project: string, title: string, answer: object, onapply: () => void, onleave: () => void}} given
 */
export function showPreview(place, { project, title, answer, onapply, onleave }) {
  const people = Object.entries(answer.people);
  const examples = people.flatMap(([, one]) => one.examples).slice(0, SHOWN);
  const button = h('button.primary', { type: 'button', onclick: onapply }, 'Apply', h('kbd', {}, 'Enter'));
  fill(place,
    h('div.row', {}, h('h2.grow', {}, title), h('span.quiet', {}, `in ${count(answer.videos_changed, 'video')}`)),
    people.length ? h('ul', {}, people.map(([id, one]) => h('li', {}, line(id.replaceAll('_', ' '), one)))) : h('p.quiet', {}, 'No name of an appearance changes.'),
    examples.length ? h('ul.preview-faces', {}, examples.map((one) => example(project, one))) : null,
    answer.perhaps.length ? h('p.small', {}, 'Left as they are, and perhaps the same: ', answer.perhaps.map((one) => one.label).join(', '), '.') : null,
    answer.not_enrolled.length ? h('p.small.warn-text', {}, 'No picture of them is good enough to be learned: only what you name here gets the name.') : null,
    h('div.row', {}, button, h('button', { type: 'button', onclick: onleave }, 'Cancel', h('kbd', {}, 'Esc'))));
  place.hidden = false;
  place.onkeydown = (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    onleave();
  };
  button.focus();
}
