/** What of a video is shown: kinds, length and certainty, kept in the address; and the error that is accepted, decided again at once. */

import { note, params } from '../../core/address.js';
import { LIMITS } from '../../core/decisions.js';
import { fill, h } from '../../core/dom.js';

const KINDS = [['named', 'Named'], ['unknown', 'Unknown'], ['undecidable', 'Not sure']];
const HIDDEN = 'hidden';
const LEAST = [['', 'Any length'], ['1', '1 s and more'], ['3', '3 s and more'], ['10', '10 s and more'], ['60', '1 min and more']];
const SURE = [['', 'Any certainty'], ['open', 'Not confirmed yet'], ['low', 'Names below 95 %'], ['high', 'Names from 95 % on']];
const HIGH = 0.95;

export class Filters {
  /** @param {{onfilter: () => void, onlimit: (limit: number) => void, isHidden: (one: object) => boolean}} how */
  constructor(how) {
    Object.assign(this, how);
    this.kinds = h('div.row.filters');
    this.element = h('div.stack', {}, this.kinds, this.chosen(), this.sliderRow());
    this.read();
  }

  /** Read from the address what is shown; it is read once for all appearances. */
  read() {
    const { hide, show, least, sure } = params();
    this.off = new Set((hide ?? '').split(',').filter(Boolean));
    this.withHidden = show === HIDDEN;
    this.least = Number(least ?? 0) || 0;
    this.sure = SURE.some(([value]) => value === sure) ? sure : '';
    this.selects.forEach((one) => (one.value = params()[one.name] ?? ''));
  }

  chosen() {
    const select = (name, label, all) => h('select.small', { name, 'aria-label': label, onchange: (event) => this.set({ [name]: event.target.value }) }, all.map(([value, text]) => h('option', { value }, text)));
    this.selects = [select('least', 'Least length', LEAST), select('sure', 'Certainty', SURE)];
    return h('div.row', {}, this.selects);
  }

  set(given) {
    note(given);
    this.read();
    this.onfilter();
  }

  /** Whether an appearance is shown. */
  passes(one) {
    const { decision, start_s: start, end_s: end } = one;
    if (this.off.has(decision) || end - start < this.least) return false;
    if (one.stranger && !this.withHidden && this.isHidden(one)) return false;
    if (!this.sure) return true;
    if (this.sure === 'open') return !one.confirmed;
    if (decision !== 'named' || one.confirmed) return this.sure === 'high' && Boolean(one.confirmed);
    return one.probability < HIGH === (this.sure === 'low');
  }

  /** Show how many there are of each kind. */
  draw(all, limit, given) {
    const counts = Object.groupBy(all, (one) => (one.stranger && this.isHidden(one) ? HIDDEN : one.decision));
    const toggle = (kind) => {
      if (!this.off.delete(kind)) this.off.add(kind);
      this.set({ hide: [...this.off].join(',') });
    };
    const button = (kind, title, isOn, run) => h('button.small', { type: 'button', 'aria-pressed': String(isOn), onclick: run }, `${title} ${counts[kind]?.length ?? 0}`);
    fill(this.kinds,
      KINDS.map(([kind, title]) => button(kind, title, !this.off.has(kind), () => toggle(kind))),
      counts[HIDDEN] && button(HIDDEN, 'Hidden', this.withHidden, () => this.set({ show: this.withHidden ? null : HIDDEN })));
    this.tell(limit, given);
  }

  sliderRow() {
    this.shown = h('output');
    this.slider = h('input', {
      type: 'range', min: '0', max: String(LIMITS.length - 1), 'aria-label': 'Strangers who may get a name, of 100',
      oninput: () => {
        const limit = LIMITS[Number(this.slider.value)];
        this.tell(limit, this.given);
        clearTimeout(this.sliding);
        this.sliding = setTimeout(() => this.onlimit(limit), 0);
      },
    });
    this.back = h('button.link.small', { type: 'button', hidden: true, onclick: () => this.onlimit(this.given) }, 'Back');
    return h('div.row', {},
      h('label.row.small', { title: 'How many of 100 strangers may get a name that is not theirs. Shown here at once; nothing is changed.' }, 'False names allowed', this.slider, this.shown), this.back);
  }

  tell(limit, given) {
    this.given = given;
    const text = `${(100 * limit).toLocaleString('en', { maximumFractionDigits: 1 })} %`;
    const place = LIMITS.findIndex((one) => one >= limit - 1e-9);
    this.slider.value = String(place < 0 ? LIMITS.length - 1 : place);
    this.slider.setAttribute('aria-valuetext', text);
    this.shown.textContent = text;
    this.back.hidden = Math.abs(limit - given) <= 1e-9;
  }
}
