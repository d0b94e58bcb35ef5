/** What an edit would change, shown before it is applied: how many appearances, in how many videos, with some of the faces. */

import { link } from '../core/address.js';
import { h } from '../core/dom.js';
import { project } from '../core/session.js';
import { clock, count } from '../core/text.js';
import { face } from './face.js';

const SHOWN = 8;

/** "+12 −3 in 5 videos", or that nothing would change. */
export function changeText(change) {
  const all = Object.values(change.people);
  const [more, fewer] = ['added', 'removed'].map((name) => all.reduce((sum, one) => sum + one[name], 0));
  const parts = [more && `+${more.toLocaleString('en')}`, fewer && `−${fewer.toLocaleString('en')}`].filter(Boolean);
  return parts.length ? `${parts.join(' ')} in ${count(change.changed_videos, 'video')}` : 'No name in any video changes';
}

/** Draw what a preview answered. */
export function changePreview(change) {
  const examples = Object.values(change.people).flatMap((one) => one.examples);
  const places = new Set();
  const shown = examples.filter((one) => {
    const place = `${one.analysis_id}/${one.track_ids[0]}`;
    return !places.has(place) && places.add(place);
  }).slice(0, SHOWN);
  return h('div.stack', {},
    h('p', { role: 'status' }, h('span.change', {}, changeText(change)), shown.length ? h('span.quiet.small', {}, '  appearances that get a name, and that lose one; some of them:') : null),
    shown.length ? h('ul.examples', {}, shown.map(example)) : null);
}

function example({ video_id: video, video: name, analysis_id: analysis, track_ids: [track], start_s: start, before, after }) {
  const where = project();
  const crop = `/v1/projects/${encodeURIComponent(where)}/videos/${video}/crops/${analysis}/${track}/0.jpg`;
  return h('li', {},
    face(crop, ''),
    h('span.small.clip.quiet', {}, h('s', {}, h('bdi', {}, before ?? 'nobody'))),
    h('span.small.clip', {}, '→ ', h('bdi', {}, after ?? 'nobody')),
    h('a.small.clip', { href: link('/video', { project: where, video, t: start.toFixed(2) }) }, `${name} ${clock(start)}`));
}
