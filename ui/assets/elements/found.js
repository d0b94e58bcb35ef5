/** What a search has found: faces in videos, each of which leads into its scene. */

import { link } from '../core/address.js';
import { colourOf } from '../core/colours.js';
import { fill, h } from '../core/dom.js';
import { clock, count, length } from '../core/text.js';
import { complain } from '../core/toast.js';
import { face } from './face.js';

function sceneOf(project, one) {
  return link('/video', { project, video: one.video_id, t: one.start_s.toFixed(2), track: one.track_id ?? one.track_ids[0] });
}

/** Who an appearance shows, as people call it. */
export function labelOf(one) {
  return one.decision === 'undecidable' ? 'Not sure' : one.label;
}

/** How alike a face of a video is to the one that is searched for, in words. */
export function likeness(one) {
  if (one.is_match) return 'very alike: most likely the same person';
  if (one.same_probability >= 0.99) return 'alike';
  return one.same_probability >= 0.9 ? 'a little alike' : 'hardly alike';
}

/** Draw one appearance; `text` tells more of it. */
export function foundCard(project, one, text = null) {
  return h('li', {}, h('a.found', { href: sceneOf(project, one) },
    face(one.crop, ''),
    h('span.found-text', {},
      h('span.row.tight-row', {}, h('span.dot', { style: { background: colourOf(one.person_id ?? one.stranger) } }), h('bdi.clip.strong', {}, labelOf(one))),
      h('span.clip', {}, h('bdi', {}, one.video)),
      h('span.small.quiet.number', {}, `${clock(one.start_s)}, for ${length(one.end_s - one.start_s)}`),
      text && h('span.small', {}, text),
      one.company.length ? h('span.small.quiet', {}, 'with ', h('bdi', {}, [...new Set(one.company.map(labelOf))].join(', '))) : null)));
}

/**
 * A list that grows by pages.
 *
 * @param {HTMLElement} place
 * @param {(cursor: string|null) => Promise<{items: object[], next_cursor: string|null}>} read
 * @param {{make: (item: object) => Node, nothing: () => Node, first?: object}} how `first` is a page that is there already.
 */
export async function pagedList(place, read, { make, nothing, first = null }) {
  const list = h('ul.found-list');
  const more = h('div.row.centre');
  let n = 0;
  const add = (page) => {
    list.append(...page.items.map(make));
    n += page.items.length;
    fill(more, page.next_cursor && h('button', { type: 'button', onclick: (event) => on(page.next_cursor, event.currentTarget) }, 'Show more'));
  };
  const on = async (cursor, button) => {
    button.disabled = true;
    try {
      add(await read(cursor));
    } catch (error) {
      button.disabled = false;
      complain(error);
    }
  };
  const page = first ?? (await read(null));
  add(page);
  if (n) fill(place, list, more);
  else fill(place, nothing());
}

/** "3 people", for headings. */
export const howMany = (n, one, many) => h('span.quiet', {}, count(n, one, many));
