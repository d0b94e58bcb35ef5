/** All who are in view for a moment only are hidden by one edit: first how many they are is shown. */

import { params } from '../../core/address.js';
import { at, post } from '../../core/api.js';
import { h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { count } from '../../core/text.js';
import { complain } from '../../core/toast.js';
import { showPreview } from '../../elements/change.js';

const SECONDS = [1, 3, 5, 10];
const USUAL = 3;

/** Make the button, with the choice of how short a moment is. */
export function passersBy(view) {
  const lacking = may('curate') ? null : lacks('curate');
  const seconds = h('select', { 'aria-label': 'Hide who is in view for less than', disabled: lacking !== null, title: lacking, onchange: () => (button.textContent = title()) },
    SECONDS.map((one) => h('option', { value: String(one), selected: one === USUAL }, `${one} s`)));
  const title = () => `Hide all under ${seconds.value} s`;
  const button = h('button.grow', { type: 'button', disabled: lacking !== null, title: lacking, onclick: () => preview(view, Number(seconds.value), title()) }, title());
  return h('div.row.passers-by', {}, button, seconds);
}

async function preview(view, seconds, title) {
  const address = at`projects/${view.where}/strangers/hide-passers-by`;
  const body = { max_screen_time_s: seconds, video_id: params().video ?? null };
  try {
    const answer = await post(address, body, { query: { preview: true }, signal: view.inner.signal });
    const many = count(answer.strangers, 'stranger');
    // Names of people stay as they are: what the archive has of them is not told here.
    showPreview(view.preview, { people: {} }, {
      title, sum: `${many} in view for less than ${seconds} s, over all videos`, apply: `Hide ${many}`, signal: view.inner.signal,
      notes: body.video_id === null ? [] : [h('p.small', {}, 'Of those who are seen in the video that is chosen.')],
      onapply: () => {
        view.leavePreview();
        view.send(`${many} under ${seconds} s hidden`, () => post(address, body, { query: { expect: answer.version } }), []);
      },
      oncancel: () => view.leavePreview(),
    });
  } catch (error) {
    complain(error);
  }
}
