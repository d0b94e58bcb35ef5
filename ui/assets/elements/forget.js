/** Forgetting a person for good: by typing the name, for it cannot be undone. A receipt says what is gone. */

import { link } from '../core/address.js';
import { at, remove } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { forgetPeople } from '../core/people.js';
import { lacks, may } from '../core/session.js';
import { count, moment } from '../core/text.js';
import { complain } from '../core/toast.js';

/** Return the section; `onforgotten(receipt)` is called when it is done. */
export function forgetting(where, person, identity, onforgotten) {
  const allowed = may('admin');
  const go = h('button.danger', { type: 'submit', disabled: true }, 'Forget for good');
  const typed = h('input', {
    type: 'text', autocomplete: 'off', spellcheck: 'false', disabled: !allowed, title: allowed ? null : lacks('admin'),
    oninput: () => (go.disabled = typed.value.trim() !== identity),
  });
  const form = h('form.row.forget', {
    onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      fill(go, 'Forgetting…');
      try {
        const receipt = await remove(at`projects/${where}/people/${person}`);
        forgetPeople();
        onforgotten(receipt);
      } catch (error) {
        fill(go, 'Forget for good');
        go.disabled = false;
        complain(error);
      }
    },
  }, h('label.stack.grow', {}, h('span', {}, 'Type the name ', h('bdi', {}, `“${identity}”`)), typed), go);
  return h('section.card.stack', { 'aria-label': 'Forget this person' },
    h('h2', {}, 'Forget this person'),
    h('p.quiet', {}, 'Removes pictures, faces and every model that learned them; videos stay, without the name. It cannot be undone.'),
    allowed ? form : h('p.quiet', {}, lacks('admin')),
    allowed && h('p.small', {}, h('a', { href: at`projects/${where}/people/${person}/export`, download: '' }, 'Download all that is kept of them (ZIP)')));
}

/** Show what forgetting removed. */
export function receiptOf(receipt, identity, where) {
  const { faces, crops, pictures, corrections, tracks, track_crops: trackCrops, models, new_model: now, videos } = receipt;
  const rows = [
    ['Enrolled pictures', count(faces, 'picture')], ['Files of faces', crops], ['Files that were collected', pictures],
    ['Corrections', corrections], ['Videos without the name now', count(videos, 'video')], ['Faces in videos, their vectors', tracks],
    ['Faces in videos, their files', trackCrops], ['Models that knew the person', models.join(', ') || 'none'], ['Model that names now', now ?? 'none'],
  ];
  return h('section.card.stack.receipt', { role: 'status' },
    h('h1', {}, h('bdi', {}, identity), ' is forgotten'),
    h('p.quiet', {}, `On ${moment(receipt.forgotten_at)}. Keep this receipt if you need one: the page does not show it again.`),
    h('dl.facts', {}, rows.map(([term, value]) => h('div', {}, h('dt.quiet', {}, term), h('dd', {}, String(value))))),
    h('div.row', {},
      h('button', { type: 'button', onclick: () => print() }, 'Print'),
      h('a.button', { href: link('/people', { project: where }) }, 'To all people')));
}
