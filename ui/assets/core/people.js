/** Who is enrolled in a project: read once, and again after a change of names. */

import { at, get } from './api.js';
import { edits } from './edits.js';
import { project } from './session.js';
import { folded } from './text.js';

const read = new Map();
edits.addEventListener('edit', () => read.clear());

/** Return the people of the project, by name: `{person_id, identity, taken, disabled, refused}`. */
export function people(where = project()) {
  if (!read.has(where)) {
    const asked = get(at`projects/${where}/people`).then((all) => all.sort((one, other) => one.identity.localeCompare(other.identity)));
    asked.catch(() => read.delete(where));
    read.set(where, asked);
  }
  return read.get(where);
}

/** Somebody was enrolled or forgotten. */
export function forgetPeople() {
  read.clear();
}

/** Return the id of a person of this name: the same, with `_` for spaces. */
export function personId(identity) {
  return identity.normalize('NFC').trim().replace(/\s+/g, '_');
}

/** Say what is wrong with a name; null where nothing is. */
export function nameProblem(identity) {
  if (!identity.trim()) return 'Give a name first.';
  return /[/\\:*?"<>|]/.test(identity) ? 'A name cannot contain / \\ : * ? " < > |' : null;
}

/** Return those whose name has a word that begins like `text`, then those that contain it; at most `most`. */
export function matching(all, text, most) {
  const wanted = folded(text.trim());
  if (!wanted) return all.slice(0, most);
  const ranked = all.map((one) => {
    const name = folded(one.identity);
    const i = name.indexOf(wanted);
    return [i === 0 ? 0 : i > 0 && name[i - 1] === ' ' ? 1 : i > 0 ? 2 : 3, one];
  });
  return ranked.filter(([rank]) => rank < 3).sort(([a], [b]) => a - b).slice(0, most).map(([, one]) => one);
}
