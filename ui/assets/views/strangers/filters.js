/** Which strangers the list shows: those seen so long, in one video, hidden ones too. */

import { note, params } from '../../core/address.js';
import { at, get } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { complain } from '../../core/toast.js';

const LEAST = [[0, 'any length'], [1, '1 s and more'], [3, '3 s and more'], [10, '10 s and more'], [60, '1 min and more']];

/** What is chosen is in the address; the view is told to filter anew. */
export class Filters {
  constructor(view) {
    this.view = view;
    const given = params();
    const change = () => this.change();
    const least = LEAST.some(([value]) => String(value) === given.least) ? LEAST : [...LEAST, [given.least ?? 0, `${given.least ?? 0} s and more`]];
    this.least = h('select', { 'aria-label': 'Least time in view', onchange: change },
      (given.least ? least : LEAST).map(([value, text]) => h('option', { value: String(value), selected: String(value) === (given.least ?? '0') }, `In view: ${text}`)));
    this.video = h('select', { 'aria-label': 'Video', onchange: change }, h('option', { value: '' }, 'All videos'), given.video && h('option', { value: given.video, selected: true }, 'One video'));
    this.hiddenToo = h('input', { type: 'checkbox', checked: given.hidden === '1', onchange: change });
    this.element = h('div.stack.list-filters', {}, this.least, this.video, h('label.row', {}, this.hiddenToo, 'Show hidden ones, too'));
    this.nameVideos();
  }

  change() {
    note({ least: this.least.value === '0' ? null : this.least.value, video: this.video.value, hidden: this.hiddenToo.checked ? '1' : null, at: null });
    this.view.refilter();
  }

  /** Show everybody who is not hidden. */
  clear() {
    this.least.value = '0';
    this.video.value = '';
  }

  async nameVideos() {
    const wanted = params().video ?? '';
    const videos = await get(at`projects/${this.view.where}/videos`, { signal: this.view.inner.signal }).catch(complain);
    if (!videos) return;
    fill(this.video, h('option', { value: '' }, 'All videos'), videos.map((one) => h('option', { value: one.video_id, selected: one.video_id === wanted }, one.name)));
  }
}
