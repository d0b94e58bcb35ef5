/** A button for what cannot be undone: it asks to be pressed a second time. */

import { h } from '../../core/dom.js';
import { complain } from '../../core/toast.js';

const PATIENCE_MS = 6000;

/** Make one; `run` is called at the second press. */
export function twice(text, sure, run, given = {}) {
  let timer = null;
  const rest = () => {
    clearTimeout(timer);
    timer = null;
    button.textContent = text;
    button.classList.remove('armed');
  };
  const button = h('button.danger', {
    type: 'button', 'aria-label': null, ...given,
    onblur: rest,
    onclick: async () => {
      if (timer === null) {
        button.textContent = `${sure}?`;
        button.classList.add('armed');
        timer = setTimeout(rest, PATIENCE_MS);
        return;
      }
      rest();
      try {
        await run();
      } catch (error) {
        complain(error);
      }
    },
  }, text);
  return button;
}
