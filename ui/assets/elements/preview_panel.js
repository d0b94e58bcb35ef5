/** What a name would change, and the choice to apply just that. */

import { fill, h } from '../core/dom.js';
import { changePreview } from './change_preview.js';

/**
 * Show a preview in a place; Enter applies it, Escape leaves it.
 *
 * @param {HTMLElement} place
 * @param {{title: string, answer: object, onapply: () => void, onleave: () => void}} given
 */
export function showPreview(place, { title, answer, onapply, onleave }) {
  const button = h('button.primary', { type: 'button', onclick: onapply }, 'Apply', h('kbd', { 'aria-hidden': 'true' }, 'Enter'));
  const perhaps = answer.perhaps.map((one) => one.label).join(', ');
  fill(place,
    h('h2', {}, title),
    changePreview(answer),
    perhaps && h('p.small', {}, `Left as they are, and perhaps the same: ${perhaps}.`),
    answer.not_enrolled.length ? h('p.small.warn-text', {}, 'No picture is good enough to be learned: only what you name here gets the name.') : null,
    h('div.row', {}, button, h('button', { type: 'button', onclick: onleave }, 'Cancel', h('kbd', { 'aria-hidden': 'true' }, 'Esc'))));
  place.hidden = false;
  place.onkeydown = (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    onleave();
  };
  button.focus();
}
