/** What is done about several videos at once. */

import { at, post, remove } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { count } from '../../core/text.js';
import { complain, toast } from '../../core/toast.js';
import { twice } from '../service/twice.js';
import { deleted } from './card.js';

/** A bar that is there while videos are chosen. */
export class Chosen {
  /** @param {() => Promise<void>} onchange Something was done about them. */
  constructor(where, onchange) {
    Object.assign(this, { where, onchange });
    this.ids = new Set();
    this.last = null;
    this.element = h('div.selection', { role: 'region', 'aria-label': 'What is chosen', hidden: true });
  }

  /** Choose a video, or not; with Shift all from the one before. */
  pick(id, isChosen, order = null) {
    const [from, to] = order && this.last ? [order.indexOf(this.last), order.indexOf(id)] : [-1, -1];
    const all = from < 0 || to < 0 ? [id] : order.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const one of all) this.ids[isChosen ? 'add' : 'delete'](one);
    this.last = id;
    this.draw();
  }

  /** Those that are gone cannot be chosen. */
  keep(ids) {
    const before = this.ids.size;
    this.ids = new Set([...this.ids].filter((id) => ids.has(id)));
    if (this.ids.size !== before) this.draw();
  }

  clear() {
    this.ids.clear();
    this.last = null;
    this.draw();
  }

  draw() {
    this.element.hidden = !this.ids.size;
    if (!this.ids.size) return;
    const what = count(this.ids.size, 'video');
    const lack = (role) => (may(role, this.where) ? {} : { disabled: true, title: lacks(role) });
    fill(this.element, h('strong', {}, `${what} chosen`),
      h('button', { type: 'button', ...lack('curate'), onclick: () => this.analyse().catch(complain) }, 'Analyse again'),
      twice(`Delete ${what}`, `Delete ${what} for good`, () => this.remove(), lack('admin')),
      h('button.link', { type: 'button', onclick: () => this.clear() }, 'Choose none'));
  }

  /** A table of them is submitted: one request, however many they are. */
  async analyse() {
    const form = new FormData();
    form.append('file', new Blob([['media,start,end,person', ...[...this.ids].map((id) => `${id},,,`)].join('\n')]), 'chosen.csv');
    form.append('settings', JSON.stringify({ no_cache: true }));
    const items = await post(at`projects/${this.where}/batches`, form);
    const failed = items.filter((one) => one.error);
    toast(`${count(items.length - failed.length, 'video')} will be analysed again`);
    if (failed.length) toast(`${count(failed.length, 'video')} cannot be: ${failed[0].error}`, { tone: 'wrong' });
    this.clear();
    await this.onchange();
  }

  async remove() {
    const receipts = [];
    try {
      for (const id of [...this.ids]) {
        receipts.push(await remove(at`projects/${this.where}/videos/${id}`));
        this.ids.delete(id);
      }
    } finally {
      if (receipts.length) toast(deleted(receipts));
      this.draw();
      await this.onchange();
    }
  }
}
