/**
 * Elements, made of what comes from outside without ever reading it as HTML: a text is always a text node.
 */

/**
 * Make an element.
 *
 * @param {string} tag Its name, with classes: `button.primary`.
 * @param {object} [given] Attributes; `on…` is a listener, `dataset` and `style` are objects, and `value`, `checked`, `selected` are
 *   properties. What is null, undefined or false is left out.
 * @param {...(Node|string|number|Array|null|undefined|false)} children
 */
export function h(tag, given = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(given ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'class') element.classList.add(...value.split(' ').filter(Boolean));
    else if (key === 'dataset') Object.assign(element.dataset, value);
    else if (key === 'style') for (const [property, one] of Object.entries(value)) element.style.setProperty(property, one);
    else if (key === 'value' || key === 'checked' || key === 'selected') element[key] = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...nodes(children));
  return element;
}

/** Give an element other children. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** Everything that is no child (null, undefined, false) is left out; lists are taken apart. */
function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Make a drawing of 24 by 24 of the paths in `d`: nothing that comes from outside. */
export function icon(d, label) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  if (label) {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', label);
  } else svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', d);
  svg.append(path);
  return svg;
}

let last = 0;

/** Return an id that no element has yet: of what a label or a description is for. */
export function freshId(prefix = 'fr') {
  last += 1;
  return `${prefix}-${last}`;
}
