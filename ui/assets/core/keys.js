/** The keys of the page. A view binds its own; the sheet behind "?" lists those that do something now. */

import { fill, h } from './dom.js';

const bound = new Map();
let sheet = null;

/** Let Escape close what has opened, wherever the focus is in it. */
export function closesWithEscape(element, close) {
  element.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    event.preventDefault();
    close();
  });
  return element;
}

/**
 * Bind keys until `signal` ends.
 *
 * @param {string} title What they are for, as the sheet says it.
 * @param {Array<{keys: string[], does: string, run: (event: KeyboardEvent) => void, inFields?: boolean}>} all Keys as `event.key` names
 *   them, "Ctrl-z" with Ctrl (or Cmd), "Shift-x" with Shift where the key is a letter.
 */
export function bindKeys(title, all, signal) {
  const entry = { title, all };
  bound.set(entry, true);
  signal?.addEventListener('abort', () => bound.delete(entry));
}

function nameOf(event) {
  const key = event.key.length === 1 && !event.shiftKey ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return `Ctrl-${event.shiftKey ? 'Shift-' : ''}${key.toLowerCase()}`;
  if (event.altKey) return `Alt-${key}`;
  return event.shiftKey && /^[A-Za-z]$/.test(event.key) ? `Shift-${key.toLowerCase()}` : key;
}

function isField(target) {
  return target.isContentEditable || (target.matches?.('input, textarea, select') && !['checkbox', 'radio', 'range', 'button'].includes(target.type));
}

/** Whether a key has a meaning of its own where it is pressed. */
function isTaken(target, name) {
  if (name === 'Enter' || name === ' ') return target.matches?.('button, a[href], summary, input, select, [role=button], [role=option], [role=tab]');
  return target.type === 'range' && /^(Arrow|Home|End|Page)/.test(name);
}

/** Whether a dialog lies above the page. */
function isOpen() {
  return sheet.getRootNode().querySelector('dialog[open]') !== null;
}

/** Listen for keys, once for the whole page. */
export function listenForKeys() {
  document.addEventListener('keydown', (event) => {
    const name = nameOf(event);
    const target = event.composedPath()[0];
    // A dialog has keys of its own: Escape closes it.
    if (event.defaultPrevented || isOpen()) return;
    // Later views come first: what lies on top.
    for (const { all } of [...bound.keys()].reverse()) {
      const found = all.find((one) => one.keys.includes(name));
      if (!found || (isField(target) && !found.inFields) || (isTaken(target, name) && !found.inFields)) continue;
      event.preventDefault();
      found.run(event);
      return;
    }
  });
}

/** Make the sheet of keys, which "?" opens. */
export function keySheet() {
  sheet = h('dialog.sheet', { 'aria-label': 'Keys', onclick: (event) => event.target === sheet && sheet.close() });
  bindKeys('Everywhere', [{ keys: ['?'], does: 'Show these keys', run: openKeySheet }]);
  return sheet;
}

/** Show which keys do something now. */
export function openKeySheet() {
  fill(
    sheet,
    h('h2', {}, 'Keys'),
    Object.entries(Object.groupBy(bound.keys(), ({ title }) => title)).map(([title, entries]) => [
      h('h3', {}, title),
      h('dl.keys', {}, entries.flatMap(({ all }) => all).map(({ keys, does }) => h('div', {}, h('dt', {}, keys.map(shown)), h('dd', {}, does)))),
    ]),
    h('form', { method: 'dialog' }, h('button', { autofocus: true }, 'Close')),
  );
  sheet.showModal();
}

const NAMES = { ' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc' };

function shown(name) {
  const parts = name === '-' ? ['-'] : name.split('-');
  return h('kbd', {}, parts.map((part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(' '));
}
