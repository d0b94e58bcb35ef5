/** Every edit of names, the last one first: what it did, who did it, and undoing the last one that stands. */

import { at, get, post } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { edits } from '../../core/edits.js';
import { lacks, may, project } from '../../core/session.js';
import { moment, percent } from '../../core/text.js';
import { complain, toast } from '../../core/toast.js';
import { empty } from '../../core/view.js';
import { changeInWords, changePreview, edit as editAt } from '../../elements/change.js';

const PAGE = 25;
const CAUSES = {
  training: 'A trained version names', promotion: 'Another version names', rollback: 'Back to the version before', identify: 'The archive was named again',
  correction: 'A track was corrected', stranger: 'A stranger was named', strangers: 'Strangers were merged or parted', hide: 'A stranger was hidden or shown',
  faces: 'Enrolled pictures were switched', rename: 'A person was renamed', merge: 'People were merged', unmerge: 'A person was taken apart again', carry: 'Corrections were carried over',
  embedder: 'Another network', forget: 'A person was forgotten', apart: 'Strangers were told apart',
};

export async function historyPart({ place, signal }) {
  const where = project();
  const list = h('ol.edits');
  const more = h('div.row');
  const told = h('div');
  let rows = [];
  let isAll = false;

  const draw = () => {
    const last = rows.find((one) => one.undone_at === null);
    fill(list, rows.length ? rows.map((row) => editRow(row, last, { undo, preview })) : h('li', {}, empty('Nothing was changed yet', 'Each change of names is listed here, and the last one can be undone.')));
    fill(more, !isAll && h('button', { type: 'button', onclick: () => next().catch(complain) }, 'Show older ones'));
  };
  const next = async () => {
    const part = await get(at`projects/${where}/history`, { query: { newest_first: true, limit: PAGE, after: rows.at(-1)?.number }, signal });
    isAll = part.length < PAGE;
    rows = [...rows, ...part];
    draw();
  };
  const begin = async () => {
    rows = [];
    fill(told);
    await next();
  };
  const undo = async (row) => {
    try {
      const answer = await post(at`projects/${where}/history/${row.number}/undo`);
      toast(`Undone: ${titleOf(row)} (${changeInWords(answer)})`);
      edits.dispatchEvent(new CustomEvent('edit', { detail: { owner: null } }));
    } catch (error) {
      complain(error);
    }
  };
  const preview = async (row) => {
    try {
      const change = await post(editAt(`history/${row.number}/undo`), undefined, { query: { preview: true } });
      fill(told, changePreview(change, { title: 'What undoing changes', signal, apply: 'Undo it', onapply: () => undo(row), oncancel: () => fill(told), disabled: may('curate') ? null : lacks('curate') }));
      told.querySelector('button')?.focus();
    } catch (error) {
      complain(error);
    }
  };
  await begin();
  fill(place, h('h2', {}, 'What was changed in ', h('bdi', {}, where)),
    h('p.quiet', {}, 'Only the last change that stands can be undone; then the one before it.', may('admin') ? null : ' Who has made each is told to admins.'),
    told, list, more);
  // Undone here, by Ctrl-Z, or anything else changed meanwhile.
  edits.addEventListener('edit', () => begin().catch(complain), { signal });
}

function titleOf(row) {
  return CAUSES[row.cause] ?? row.cause;
}

/** What follows of a change in words, but for jobs' ids, which tell nobody anything. */
function noteOf(row) {
  return row.note && !row.note.startsWith('job ') ? row.note.replaceAll('_', ' ') : '';
}

function editRow(row, last, { undo, preview }) {
  const isUndone = row.undone_at !== null;
  const why = isUndone ? 'It was undone already' : row.is_sealed ? 'It cannot be undone: a person was forgotten since' : !row.can_undo ? `Undo change ${last.number} first: only the last one that stands can be undone` : may('curate') ? null : lacks('curate');
  const limit = row.max_false_names !== row.former_max_false_names && `strangers who may get a name: ${limitOf(row.former_max_false_names)} → ${limitOf(row.max_false_names)}`;
  const version = row.model_version !== row.former_model && `named by ${row.former_model ?? 'nothing'} → ${row.model_version ?? 'nothing'}`;
  return h('li', { class: isUndone ? 'undone' : '' },
    h('div.row', {},
      h('span.quiet.number', {}, `${row.number}.`),
      h('div.grow', {}, h('strong', {}, titleOf(row)), noteOf(row) && h('span', {}, ': ', h('bdi', {}, noteOf(row)))),
      isUndone && h('span.tag', {}, 'undone'),
      !isUndone && h('button', { type: 'button', disabled: why !== null, title: why, onclick: () => undo(row) }, 'Undo'),
      !isUndone && row.can_undo && may('curate') && h('button', { type: 'button', onclick: () => preview(row) }, 'Show what that changes')),
    h('div.small.quiet', {}, [moment(row.created_at), row.actor, isUndone && `undone ${moment(row.undone_at)}`, limit, version, !isUndone && why].filter(Boolean).join(' · ')));
}

function limitOf(rate) {
  return rate === null ? 'as set up' : rate < 0.01 ? `${(100 * rate).toFixed(1)} %` : percent(rate);
}
