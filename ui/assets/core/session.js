/** Who asks, and in which project: read once, when the page is loaded. */

import { at, get } from './api.js';
import { params } from './address.js';

const RANKS = ['read', 'curate', 'admin'];
const EVERYWHERE = '*';
const LAST = 'facerec.project';

export const session = { name: '', grants: {}, projects: [], isRead: false };

/** Read who asks and which projects there are. */
export async function readSession() {
  const [me, projects] = await Promise.all([get(at`me`), get(at`projects`)]);
  Object.assign(session, { ...me, projects: projects.map((one) => one.name ?? one), isRead: true });
}

/** The project that the address names; otherwise the one that was last open, `default`, or the first. */
export function project() {
  const named = params().project;
  if (named) return named;
  const last = localStorage.getItem(LAST);
  if (session.projects.includes(last)) return last;
  return session.projects.includes('default') || !session.projects.length ? 'default' : session.projects[0];
}

/** Whether the project is the default one, and not there yet: it is made when something is first put into it. */
export function isUnbegun(where = project()) {
  return session.isRead && where === 'default' && !session.projects.includes(where);
}

/** Remember a project for the next visit. */
export function rememberProject(name) {
  localStorage.setItem(LAST, name);
}

/** Whether who asks may do in this project what needs a role: "read", "curate" or "admin". */
export function may(role, where = project()) {
  const held = [session.grants[where], session.grants[EVERYWHERE]].map((one) => RANKS.indexOf(one));
  return Math.max(...held) >= RANKS.indexOf(role);
}

/** What a control says that is disabled because its role is missing. */
export function lacks(role) {
  return `Your key may not do this here: it needs the role “${role}”.`;
}
