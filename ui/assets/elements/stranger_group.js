/** All scenes of one stranger: the wrong ones are clicked out, and one name confirms the rest. */

import { go, link } from '../core/address.js';
import { at, get, post } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { apply, edits } from '../core/edits.js';
import { bindKeys } from '../core/keys.js';
import { lacks, may } from '../core/session.js';
import { likeliness, scene, sceneName } from '../core/strangers.js';
import { count, length } from '../core/text.js';
import { toast } from '../core/toast.js';
import { empty } from '../core/view.js';
import { face } from './face.js';
import { nameField } from './name_field.js';

/**
 * Draw it.
 *
 * @param {import('../core/view.js').View} view
 * @param {string} id
 * @param {AbortSignal} signal Ends when something else is drawn in the view.
 */
export async function drawGroup(view, id, signal) {
  const where = view.where;
  const [stranger, candidates] = await Promise.all([
    get(at`projects/${where}/strangers/${id}`, { signal }),
    get(at`projects/${where}/strangers/${id}/candidates`, { signal }),
  ]);
  const back = h('a', { href: link('/strangers', { project: where, at: stranger.stranger }) }, 'Who is this?');
  edits.addEventListener('edit', () => drawGroup(view, id, signal), { signal, once: true });
  if (!stranger.tracks.length) {
    fill(view, h('div.head', {}, back, h('h1', {}, stranger.label)), empty('This stranger is in no scene any more', 'They were named, or joined with another one.'));
    return;
  }
  const out = new Set();
  const allowed = may('curate');
  const state = h('p', { role: 'status' });
  const field = nameField('Who is this?', { placeholder: 'Who is this? Enter names all that are left', onname: (one) => name(one) });
  const draw = () => {
    state.textContent = `The name is given to ${count(stranger.tracks.length - out.size, 'scene')}${out.size ? `; ${out.size} left out` : ''}.`;
  };
  const name = (one) => {
    if (out.size === stranger.tracks.length) return void toast('All are left out: keep those that are this person.', { tone: 'wrong' });
    const without = [...out].map((i) => stranger.tracks[i]).map((track) => ({ video_id: track.video_id, track_id: track.track_id }));
    const text = `${stranger.label} is ${one.identity}${out.size ? `, without ${count(out.size, 'scene')}` : ''}`;
    return apply(text, () => post(at`projects/${where}/strangers/${stranger.stranger}/name`, { person_id: one.person_id, without })).then((answer) => {
      if (answer && !out.size && !signal.aborted) go(link('/strangers', { project: where }));
    });
  };
  const tiles = stranger.tracks.map((track, i) => {
    const button = h('button.group-tile', { type: 'button', 'aria-pressed': 'true', onclick: () => toggle(i) }, face(track.crop, sceneName(track)), h('span.tile-state', { 'aria-hidden': 'true' }));
    const toggle = () => {
      if (!out.delete(i)) out.add(i);
      button.setAttribute('aria-pressed', String(!out.has(i)));
      draw();
    };
    return h('li', {}, button, h('a.small.clip', { href: scene(where, track), title: sceneName(track) }, h('bdi', {}, sceneName(track))));
  });
  const hide = () => apply(stranger.hidden ? `${stranger.label} is shown again` : `${stranger.label} is hidden`,
    () => post(at`projects/${where}/strangers/${stranger.stranger}/hide`, undefined, { query: { no_longer: stranger.hidden || null } }));
  fill(view,
    h('div.head', {}, back, h('span.quiet', { 'aria-hidden': 'true' }, '/'), h('h1', {}, stranger.label),
      h('span.quiet', {}, `${length(stranger.screen_time_s)} in view, in ${count(stranger.videos, 'video')}`),
      h('div.row.end', {}, h('button', { type: 'button', disabled: !allowed, title: allowed ? null : lacks('curate'), onclick: hide }, stranger.hidden ? 'Show again' : 'Hide'))),
    h('div.card.stack.group-answer', {}, state, h('p.quiet.small', {}, 'Click the pictures that show another person, then give the name. Those stay a stranger.'),
      allowed ? h('div.row', {}, h('div.group-field', {}, field), candidates.slice(0, 3).map((one) => h('button', { type: 'button', title: likeliness(one.probability), onclick: () => name(one) }, h('bdi', {}, one.identity))))
        : h('p.quiet', {}, lacks('curate'))),
    h('ul.group-tiles', {}, tiles));
  draw();
  bindKeys('All scenes of a stranger', [
    { keys: ['x'], does: 'Leave the picture out that has the focus, or take it in again', run: () => view.getRootNode().activeElement?.closest('.group-tile')?.click() },
    { keys: ['n'], does: 'To the field for the name', run: () => field.focus() },
  ], signal);
  if (allowed && matchMedia('(pointer: fine)').matches) field.focus();
}
