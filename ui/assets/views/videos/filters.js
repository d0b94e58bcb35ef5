/** Which videos are shown: by text, state and length, all held in the address. */

import { note, params } from '../../core/address.js';
import { at, get, pause } from '../../core/api.js';
import { h } from '../../core/dom.js';
import { folded } from '../../core/text.js';
import { complain } from '../../core/toast.js';
import { isActive } from '../../elements/jobs.js';

const TYPING_MS = 250;
const LEAST_LETTERS = 2;
const STATES = [['', 'All states'], ['analysed', 'Analysed'], ['active', 'Being analysed'], ['open', 'Not analysed'], ['failed', 'Failed']];
const LENGTHS = [['', 'All lengths'], ['short', 'Under 1 min'], ['medium', '1 to 10 min'], ['long', 'Longer']];
const BOUNDS_S = { short: [0, 60], medium: [60, 600], long: [600, Infinity] };

export class Filters {
  /** @param {() => void} onchange Something else is to be shown. */
  constructor(where, signal, onchange) {
    Object.assign(this, { where, signal, onchange });
    // Who is in which video is asked of the service; titles are known here.
    this.named = { text: '', ids: new Set(), people: [], isAll: true };
    this.search = h('input', {
      type: 'search', placeholder: 'Search titles and names', 'aria-label': 'Search titles and names', value: params().q ?? '',
      oninput: () => (note({ q: this.search.value }), this.onchange(), this.readNames()),
    });
    this.state = this.choice('state', 'State', STATES);
    this.length = this.choice('length', 'Length', LENGTHS);
    this.elements = [this.search, this.state, this.length];
    if (this.search.value) this.readNames();
  }

  choice(name, label, options) {
    const select = h('select', { 'aria-label': label, onchange: () => (note({ [name]: select.value }), this.onchange()) },
      options.map(([value, text]) => h('option', { value, selected: (params()[name] ?? '') === value }, text)));
    return select;
  }

  get isAny() {
    return Boolean(this.search.value || this.state.value || this.length.value);
  }

  /** Ask in which videos people are whose names have the text in them. */
  async readNames() {
    const text = this.search.value.trim();
    if (text === this.named.text) return;
    this.typing?.abort();
    this.typing = new AbortController();
    const { signal } = this.typing;
    this.signal.addEventListener('abort', () => this.typing.abort());
    try {
      await pause(TYPING_MS, signal);
      const found = text.length < LEAST_LETTERS ? null : await get(at`projects/${this.where}/videos-with`, { query: { name: text }, signal });
      this.named = { text, ids: new Set(found?.video_ids), people: found?.people ?? [], isAll: found?.is_all ?? true };
      this.onchange();
    } catch (error) {
      if (error.name !== 'AbortError') complain(error);
    }
  }

  /** What is to be known of the search: who was found by their names. */
  get remark() {
    const { text, people, isAll } = this.named;
    if (!people.length || text !== this.search.value.trim()) return '';
    const names = people.slice(0, 3).map((one) => one.replaceAll('_', ' ')).join(', ');
    const more = people.length > 3 ? ` and ${people.length - 3} more` : '';
    return `also those with ${names}${more}${isAll ? '' : '; there are more than could be listed: type more of the name'}`;
  }

  shows(entry) {
    const isBusy = entry.job !== undefined && isActive(entry.job);
    const [state, span] = [this.state.value, BOUNDS_S[this.length.value]];
    const states = { '': true, analysed: entry.analysed && !isBusy, active: isBusy, open: !entry.analysed && !isBusy, failed: entry.job?.state === 'failed' };
    if (!states[state]) return false;
    if (span && !(entry.duration_s != null && span[0] <= entry.duration_s && entry.duration_s < span[1])) return false;
    const text = this.search.value.trim();
    if (!text || folded(`${entry.name} ${entry.catalogue?.titles?.join(' ') ?? ''}`).includes(folded(text))) return true;
    return text === this.named.text && this.named.ids.has(entry.video_id);
  }
}
