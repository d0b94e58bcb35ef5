/** A picture of a face, which may be gone: crops are kept no longer than a project says. */

import { served } from '../core/api.js';
import { h } from '../core/dom.js';

/**
 * Make one.
 *
 * @param {string|null} url As the service gave it.
 * @param {string} [alt] What it shows; '' where a text beside it says so.
 */
export function face(url, alt = '', given = {}) {
  if (!url) return missing(alt);
  const image = h('img.face', { src: served(url), alt, loading: 'lazy', decoding: 'async', draggable: 'false', ...given });
  image.addEventListener('error', () => image.replaceWith(missing(alt)), { once: true });
  return image;
}

function missing(alt) {
  return h('span.face.missing', alt ? { role: 'img', 'aria-label': `${alt} (no picture is kept)` } : { 'aria-hidden': 'true' });
}
