/**
 * Where the visitor is: the path names the view, and the query what it shows there, so that a reload, a bookmark and a link that is
 * sent to a colleague all come back to the same place.
 */

const moved = new EventTarget();

/** Return what is after the `?`, as an object of texts. */
export function params() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/** Return the address of a view; what is null, undefined or '' is left out. */
export function link(path, given = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** Go to another place: Back returns to this one. */
export function go(address) {
  history.pushState(null, '', address);
  moved.dispatchEvent(new Event('move'));
}

/** Write what is shown here into the address; Back does not return to what it was. */
export function note(given) {
  history.replaceState(history.state, '', link(location.pathname, { ...params(), ...given }));
}

/** Call when the visitor has gone elsewhere, by a link, `go`, Back or Forward. */
export function onMove(call) {
  moved.addEventListener('move', call);
  addEventListener('popstate', call);
}

/** Take clicks on links to views, which then need not load the page anew. Links to elsewhere, and clicks that open a tab, are left. */
export function takeLinks(root, isView) {
  root.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = event.target.closest?.('a[href]');
    if (!anchor || anchor.target || anchor.hasAttribute('download')) return;
    const to = new URL(anchor.href);
    if (to.origin !== location.origin || !isView(to.pathname)) return;
    event.preventDefault();
    go(to.pathname + to.search);
  });
}
