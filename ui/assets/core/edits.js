/** Changes of names: each is applied in its turn, told with what it has changed, and taken back by one key. */

import { at, post } from './api.js';
import { go } from './address.js';
import { count } from './text.js';
import { complain, toast } from './toast.js';
import { project } from './session.js';

/**
 * Tells `edit` when names have changed: what is shown of them is to be read again; its detail has the `owner` that applied it. Tells
 * `waiting` with how many changes are on their way.
 */
export const edits = new EventTarget();

let turn = Promise.resolve();
let waiting = 0;
// Whoever answers fast is ahead of the service: what is on its way must not be lost with the page.
addEventListener('beforeunload', (event) => waiting && event.preventDefault());

/** Do one change after the other. */
function inTurn(work) {
  const wait = (by) => {
    waiting += by;
    edits.dispatchEvent(new CustomEvent('waiting', { detail: waiting }));
  };
  wait(1);
  const done = turn.then(work).finally(() => wait(-1));
  turn = done.catch(() => {});
  return done;
}

/** The edits of this visit that stand, the last one last. */
const mine = [];

/**
 * Apply an edit and tell of it; return the answer, or null where it was refused, which is told, too.
 *
 * @param {string} text What was done, in the past: "Named Ada Lovelace".
 * @param {() => Promise<object>} send
 * @param {object} [owner] Who need not be told.
 */
export function apply(text, send, owner = null) {
  const where = project();
  return inTurn(async () => {
    try {
      const answer = await send();
      if (answer.edit !== null && answer.edit !== undefined) mine.push({ project: where, number: answer.edit, text });
      toast(`${text}${effect(answer)}`, answer.edit == null ? {} : { action: { label: 'Undo', run: undo } });
      edits.dispatchEvent(new CustomEvent('edit', { detail: { owner } }));
      return answer;
    } catch (error) {
      complain(error);
      return null;
    }
  });
}

/** Take back the last edit of this visit that stands, those that are on their way included. */
export function undo() {
  return inTurn(takeBack);
}

async function takeBack() {
  const last = mine.at(-1);
  if (!last) {
    toast('Nothing was changed in this visit. Older edits are undone under Service, History.');
    return;
  }
  if (last.project !== project()) go(`${location.pathname}?project=${encodeURIComponent(last.project)}`);
  try {
    await post(at`projects/${last.project}/history/${last.number}/undo`);
    mine.pop();
    toast(`Undone: ${last.text}`);
    edits.dispatchEvent(new CustomEvent('edit', { detail: { owner: null } }));
  } catch (error) {
    // Others have changed names since: then this one is not the last, and stays on record.
    if (error.status === 409 || error.status === 404) mine.pop();
    complain(error);
  }
}

/** Return what an edit, or its preview, changes, in a few words. */
export function effect(change) {
  const all = Object.values(change.people ?? {});
  const [more, fewer] = ['added', 'removed'].map((name) => all.reduce((sum, one) => sum + one[name], 0));
  const parts = [more && `+${more.toLocaleString('en')}`, fewer && `−${fewer.toLocaleString('en')}`].filter(Boolean);
  return parts.length ? ` (${parts.join(' ')} in ${count(change.changed_videos, 'video')})` : '';
}
