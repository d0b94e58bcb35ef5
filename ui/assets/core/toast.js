/** Short messages at the edge of the page, which readers of the screen hear; one may offer to take back what was done. */

import { fill, h } from './dom.js';

const SHOWN_MS = 8000;
const MOST = 3;

let list = null;

/** Make the place of the messages, inside the shell. */
export function toastList() {
  list = h('div.toasts', { role: 'status', 'aria-live': 'polite' });
  return list;
}

/**
 * Show a message.
 *
 * @param {string} text
 * @param {{tone?: 'done'|'wrong', action?: {label: string, run: () => void}}} [how]
 */
export function toast(text, { tone = 'done', action = null } = {}) {
  const shown = h('div.toast', { class: tone, role: tone === 'wrong' ? 'alert' : null });
  const end = () => shown.remove();
  fill(
    shown,
    h('span', {}, text),
    action && h('button.link', { type: 'button', onclick: () => (end(), action.run()) }, action.label),
    h('button.bare', { type: 'button', 'aria-label': 'Close the message', onclick: end }, '×'),
  );
  list.append(shown);
  while (list.children.length > MOST) list.firstChild.remove();
  // A message under the pointer, or with the focus, is being read.
  const timer = setInterval(() => shown.matches(':hover, :focus-within') || (clearInterval(timer), end()), SHOWN_MS);
}

/** Show what went wrong; what was ended on purpose is nothing wrong. */
export function complain(error) {
  if (error.name === 'AbortError') return;
  toast(error.message, { tone: 'wrong' });
  if (error.status === undefined) throw error;
}
