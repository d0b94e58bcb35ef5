/** The audit log: who changed what, the last change first. */

import { note, params } from '../../core/address.js';
import { at, get } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { may, project } from '../../core/session.js';
import { moment } from '../../core/text.js';
import { complain } from '../../core/toast.js';
import { empty } from '../../core/view.js';

const PAGE = 50;
const EVERYWHERE = '*';

export async function auditPart({ place, signal }) {
  const where = project();
  const list = h('ul.entries.card');
  const more = h('div.row');
  let after = 0;
  const isOfService = () => params().of === 'service' && may('admin', EVERYWHERE);
  const next = async () => {
    const address = isOfService() ? at`audit` : at`projects/${where}/audit`;
    const part = await get(address, { query: { newest_first: true, limit: PAGE, after: after || undefined }, signal });
    list.append(...part.map(entryRow));
    after = part.at(-1)?.number ?? after;
    if (!list.children.length) fill(list, h('li', {}, empty('Nothing yet', 'Each change, and who made it, is listed here.')));
    fill(more, part.length === PAGE && h('button', { type: 'button', onclick: () => next().catch(complain) }, 'Show older ones'));
  };
  const begin = async () => {
    after = 0;
    fill(list);
    await next();
  };
  await begin();
  fill(place,
    h('div.row', {}, h('h2', {}, 'Audit log'),
      may('admin', EVERYWHERE) && h('select', { 'aria-label': 'Of what', onchange: (event) => (note({ of: event.target.value }), begin().catch(complain)) },
        h('option', { value: '' }, `Project ${where}`), h('option', { value: 'service', selected: isOfService() }, 'Keys, and what is of no project'))),
    h('p.quiet', {}, 'Who changed what. Entries name nobody who is in videos, and are never changed.'),
    list, more);
}

function entryRow(entry) {
  const details = Object.keys(entry.details).length ? JSON.stringify(entry.details, null, 1) : '';
  const did = entry.action.replaceAll('-', ' ');
  const told = entry.edit && [entry.edit.cause, entry.edit.note].filter(Boolean).join(': ').replaceAll('_', ' ');
  return h('li', {},
    h('div.row', {}, h('span.quiet.number', {}, `${entry.number}.`), h('strong', {}, did), h('span.quiet.clip', {}, entry.subject ?? ''), told && h('bdi.clip', {}, told)),
    h('div.small.quiet', {}, `${moment(entry.at)} · `, h('bdi', {}, entry.actor)),
    details && h('details.small', {}, h('summary', {}, `Details of ${entry.number}`), h('pre', { tabindex: '0' }, details)));
}
