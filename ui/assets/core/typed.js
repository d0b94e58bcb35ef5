/** What the visitor is typing stays when a part of the page is drawn anew: the same field, made again, has it, and the focus. */

import { params } from './address.js';
import { markOf } from './focus.js';
import { project } from './session.js';

const KEPT_MS = 5000;
const TEXTS = 'input:not([type=checkbox], [type=radio], [type=range], [type=file]), textarea';

/** What the page is about: a text that was typed for one person is none for another. */
function subject() {
  const { video, person, stranger, show } = params();
  return [location.pathname, project(), video, person, stranger, show].join('|');
}

/**
 * Keep what is typed in the fields within `root` and not given yet.
 *
 * Fields of one label are told apart by `data-of` of what is around them: what the field is about.
 *
 * @param {ShadowRoot} root
 */
export function keepTyped(root) {
  const typed = new Map();
  let focused = null;

  root.addEventListener('focusin', ({ target }) => (focused = target));
  root.addEventListener('pointerdown', ({ target }) => (focused = target === focused ? focused : null));
  root.addEventListener('input', ({ target }) => {
    if (!target.matches(TEXTS)) return;
    if (target.value) typed.set(target, { value: target.value, mark: markOf(target), subject: subject(), lostAt: null });
    else typed.delete(target);
  });
  // What is given is typed no more.
  root.addEventListener('submit', ({ target }) => [...typed.keys()].forEach((one) => target.contains(one) && typed.delete(one)));

  const bringBack = (element, { value, mark }) => {
    const next = [...root.querySelectorAll(element.localName)].find((one) => !one.disabled && !one.value && markOf(one) === mark);
    if (!next) return false;
    next.value = value;
    next.dispatchEvent(new Event('input', { bubbles: true }));
    if (focused !== element) return true;
    next.focus({ preventScroll: true });
    if (next.type !== 'number') next.setSelectionRange(value.length, value.length);
    return true;
  };
  new MutationObserver(() => {
    for (const [element, text] of typed) {
      if (element.isConnected) continue;
      text.lostAt ??= performance.now();
      const isOver = element.value !== text.value || text.subject !== subject() || performance.now() - text.lostAt > KEPT_MS;
      if (isOver || bringBack(element, text)) typed.delete(element);
    }
  }).observe(root, { childList: true, subtree: true });
}
