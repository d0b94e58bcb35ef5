/** The focus stays where work goes on: what is drawn anew, closed or switched off while it has the focus passes it on, never to nowhere. */

const FOCUSABLE = 'a[href], button, input, select, textarea, summary, [tabindex]';
const SETTLED_MS = 40;
const AWAITED_MS = 3000;

/** Whether an element could have the focus now. */
function isAble(element) {
  return element.isConnected && !element.disabled && element.checkVisibility({ visibilityProperty: true });
}

/** What tells an element from others once it was made anew: what it is called, and what it is about. */
export function markOf(element) {
  const name = element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent;
  return [element.localName, name.trim(), element.closest('[data-of]')?.dataset.of].join('|');
}

/**
 * Keep the focus within `root`; what cannot be passed on nearby goes to `main`.
 *
 * @param {ShadowRoot} root
 * @param {HTMLElement} main
 */
export function keepFocus(root, main) {
  let last = null;
  let before = null;
  let timer = null;

  root.addEventListener('focusin', ({ target }) => {
    if (target === main || target === last?.element) return;
    before = last;
    last = { element: target, mark: markOf(target), above: ancestors(target), lostAt: null };
  });
  // Who clicks beside everything means to have no focus.
  root.addEventListener('pointerdown', ({ target }) => target.closest?.(FOCUSABLE) || (last = null));

  const look = () => {
    if (!last || isAble(last.element) || (root.activeElement && root.activeElement !== main)) return;
    last.lostAt ??= performance.now();
    const next = again(last) ?? (root.activeElement === main ? null : (nearby(last) ?? main));
    if (!next) {
      if (performance.now() - last.lostAt > AWAITED_MS) last = null;
      return;
    }
    next.focus({ preventScroll: next === main });
  };
  /** The same one, made anew; or, of what has closed, where the visitor came from. */
  const again = ({ mark, above, element }) => {
    const place = above.find((one) => one.isConnected && one.checkVisibility());
    const found = [...(place ?? main).querySelectorAll(element.localName)].find((one) => isAble(one) && markOf(one) === mark);
    return found ?? (before && !isInside(before.element, above) && isAble(before.element) && main.contains(before.element) ? before.element : null);
  };
  const nearby = ({ above }) => {
    const place = above.find((one) => one.isConnected && one.checkVisibility() && main.contains(one) && one !== main);
    return [...(place?.querySelectorAll(FOCUSABLE) ?? [])].find((one) => isAble(one) && one.tabIndex >= 0 && !one.matches('input, textarea, select')) ?? null;
  };
  new MutationObserver(() => {
    if (!last || isAble(last.element)) return;
    clearTimeout(timer);
    timer = setTimeout(look, SETTLED_MS);
  }).observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ['hidden', 'disabled', 'open'] });
}

function ancestors(element) {
  const above = [];
  for (let one = element.parentElement; one; one = one.parentElement) above.push(one);
  return above;
}

/** Whether an element lay in what has gone. */
function isInside(element, above) {
  return above.some((one) => !one.isConnected && one.contains(element));
}
