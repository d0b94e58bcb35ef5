/** Who is this?: strangers by screen time, whom one answer settles in all videos. */

import { link, note, params } from '../core/address.js';
import { at, get, post } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { apply, edits } from '../core/edits.js';
import { bindKeys } from '../core/keys.js';
import { may, project } from '../core/session.js';
import { bestPictures, notesOf, preload, readStranger } from '../core/strangers.js';
import { count, length } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { empty, View } from '../core/view.js';
import { drawDoubtfulNames } from '../elements/cards/doubtful_names.js';
import { drawSamePeople } from '../elements/cards/same_people.js';
import { showPreview } from '../elements/change.js';
import { face } from '../elements/face.js';
import { drawGroup } from '../elements/stranger_group.js';
import '../elements/rows.js';
import '../elements/stranger_stage.js';
import { Filters } from './strangers/filters.js';
import { passersBy } from './strangers/passers_by.js';
import { Selection } from './strangers/selection.js';

const PAGE = 60;
const MOST_AGAIN = 240;
const SHOWN = 3;
const ROW_PX = 60;
const AHEAD = 2;
const NEAR_END = 40;

class StrangersView extends View {
  async build() {
    this.where = project();
    this.reading?.abort();
    const { stranger, show } = params();
    this.inner?.abort();
    this.inner = new AbortController();
    this.signal.addEventListener('abort', () => this.inner.abort());
    if (stranger) await drawGroup(this, stranger, this.inner.signal);
    else if (show === 'same') await drawSamePeople(this, this.tabs('same'), this.inner.signal);
    else if (show === 'doubtful') await drawDoubtfulNames(this, this.tabs('doubtful'), this.inner.signal);
    else await this.buildQueue();
  }

  tabs(current) {
    const tab = (text, show) => h('a', { href: link('/strangers', { project: this.where, show }), 'aria-current': (show ?? '') === current ? 'page' : null }, text);
    return h('div.head', {}, h('h1', {}, 'Who is this?'), h('div.tabs', {}, tab('One at a time'), tab('Same person?', 'same'), tab('Check names', 'doubtful')));
  }

  async buildQueue() {
    const { signal } = this.inner;
    Object.assign(this, { items: [], cursor: null, total: 0, current: null, details: new Map(), answered: [], onTheirWay: new Set() });
    this.stage = h('fr-stranger-stage.card');
    this.preview = h('div');
    this.place = h('div');
    this.rows = h('fr-rows.stranger-rows', { 'aria-label': 'Strangers by screen time' });
    this.rows.rowHeight = ROW_PX;
    this.rows.make = (one) => this.row(one);
    this.rows.keyOf = (one) => one.stranger;
    this.selection = new Selection(this);
    this.filters = new Filters(this);
    this.sum = h('p.quiet.small', { role: 'status' });
    fill(this, this.tabs(''),
      h('div.strangers', {}, h('div.stack', {}, this.preview, this.stage, this.place),
        h('aside.stack', { 'aria-label': 'All strangers' }, this.filters.element, passersBy(this), this.sum, this.selection.element, this.rows)));
    this.stage.hidden = true;
    this.wire(signal);
    this.filteredBy = `${params().video} ${params().hidden}`;
    await this.read();
    const wanted = params().at;
    await this.show(this.items.find((one) => one.stranger === wanted) ?? (wanted && (await this.one(wanted))) ?? this.items[0], { isFocused: true });
  }

  wire(signal) {
    const on = (target, type, call) => target.addEventListener(type, call, { signal });
    on(this.stage, 'answer', ({ detail }) => this.name(detail));
    on(this.stage, 'preview', ({ detail }) => this.showPreview(detail));
    on(this.stage, 'hide', () => this.hide());
    on(this.stage, 'skip', () => this.step(1));
    on(this.stage, 'back', () => this.step(-1));
    on(this.rows, 'choose', ({ detail }) => this.show(detail));
    on(this.rows, 'open', () => this.stage.focusField());
    on(this.rows, 'scroll', () => this.readOn());
    on(this.rows, 'mark', () => this.selection.draw());
    on(edits, 'edit', ({ detail }) => this.changed(detail.owner));
    bindKeys('Who is this?', [
      { keys: ['Enter'], does: 'The suggested person', run: () => this.stage.accept() },
      { keys: ['1', '2', '3', '4', '5'], does: 'One of those whom it may be', run: (event) => this.stage.choose(Number(event.key)) },
      { keys: ['ArrowRight', 's'], does: 'Skip this stranger', run: () => this.step(1) },
      { keys: ['ArrowLeft'], does: 'Back to the one before', run: () => this.step(-1) },
      { keys: ['h', 'Delete'], does: 'Hide: not worth a name (Delete works in the empty field, too)', run: () => this.hide() },
      { keys: ['p'], does: 'Preview what the suggestion changes (Shift and Enter in the field)', run: () => this.showPreview(this.stage.suggested) },
      { keys: ['x'], does: 'Choose several strangers, to name them at once', run: () => this.current && this.rows.toggleMark(this.current) },
      { keys: ['g'], does: 'All scenes of this stranger (Esc comes back)', run: () => this.stage.openGroup() },
      { keys: ['n'], does: 'To the field for the name (Esc leaves it)', run: () => this.stage.focusField() },
    ], signal);
  }

  /** Read the list from its beginning; of what was loaded as much again. */
  async read() {
    this.reading?.abort();
    this.reading = new AbortController();
    const most = Math.min(MOST_AGAIN, Math.max(PAGE, this.items.length));
    const page = await this.page(most, null, this.reading.signal);
    // Who was answered, but not yet for the service, is not asked about again.
    const left = page.items.filter((one) => !this.onTheirWay.has(one.stranger));
    this.items = left;
    this.take({ ...page, total: page.total - (page.items.length - left.length) });
  }

  page(limit, cursor, signal) {
    const { least, video, hidden } = params();
    return get(at`projects/${this.where}/strangers`, {
      query: { limit, cursor, shown: SHOWN, min_screen_time_s: least, video_id: video, hidden: hidden === '1' ? true : null }, signal,
    });
  }

  take(page) {
    this.cursor = page.next_cursor;
    this.total = page.total;
    this.note = page.note;
    this.drawList();
  }

  /** Read more of the list when its end comes near. */
  async readOn() {
    const left = this.rows.scrollHeight - this.rows.scrollTop - this.rows.clientHeight;
    const i = this.items.indexOf(this.current);
    if (!this.cursor || this.isReadingOn || (left > NEAR_END * ROW_PX && i < this.items.length - NEAR_END)) return;
    this.isReadingOn = true;
    try {
      const page = await this.page(PAGE, this.cursor, this.reading.signal);
      this.items = [...this.items, ...page.items.filter((one) => !this.items.some((other) => other.stranger === one.stranger))];
      this.take(page);
    } catch (error) {
      complain(error);
    } finally {
      this.isReadingOn = false;
    }
  }

  /** Filter anew: what is loaded at once where the time in view tells, and then what the service has. */
  async refilter() {
    const { least, video, hidden } = params();
    const isOther = this.filteredBy !== `${video} ${hidden}`;
    this.filteredBy = `${video} ${hidden}`;
    this.items = isOther ? [] : this.items.filter((one) => one.screen_time_s >= Number(least ?? 0));
    if (!isOther) this.drawList();
    try {
      await this.read();
      this.rows.scrollTop = 0;
      await this.show(this.items[0]);
    } catch (error) {
      complain(error);
    }
  }

  drawList() {
    this.rows.items = this.items;
    if (this.current) this.rows.choose(this.current, { isMoving: false });
    this.sum.textContent = this.note ?? count(this.total, 'stranger');
    this.selection.draw();
  }

  row(one) {
    const best = one.tracks.find((track) => track.crop);
    return [
      h('span.row-face', {}, face(best?.crop ?? null, '')),
      h('span.grow.stack.tight', {}, h('span.clip', {}, one.label),
        h('span.small.quiet.number', {}, `${length(one.screen_time_s)} · ${count(one.videos, 'video')}`)),
      one.hidden && h('span.tag', {}, 'hidden'),
    ];
  }

  /** Read one stranger with who they may be, once; null if they are there no more. */
  detail(id) {
    if (!this.details.has(id)) {
      const asked = readStranger(this.where, id, this.inner.signal);
      asked.catch(() => this.details.delete(id));
      this.details.set(id, asked);
    }
    return this.details.get(id);
  }

  async one(id) {
    try {
      const { stranger } = await this.detail(id);
      return stranger.track_count ? stranger : null;
    } catch (error) {
      if (error.status !== 404) throw error;
      return null;
    }
  }

  /** Show one stranger, and have the next ones ready. */
  async show(one, { isFocused = false } = {}) {
    this.current = one ?? null;
    this.leavePreview({ isFocused: false });
    this.stage.hidden = !one;
    if (!one) return this.showEnd();
    fill(this.place);
    note({ at: one.stranger });
    const isNew = this.stage.shownId !== one.stranger;
    this.stage.shownId = one.stranger;
    const ready = this.details.get(one.stranger)?.ready;
    this.stage.show(this.where, ready?.stranger ?? one, ready?.candidates ?? null);
    if (isNew && isFocused) this.slide();
    this.rows.choose(one);
    if (isFocused) this.stage.focusField();
    this.readOn();
    try {
      const found = await this.ready(one.stranger);
      if (this.current !== one) return;
      if (!ready) this.stage.show(this.where, found.stranger.track_count ? found.stranger : one, found.candidates);
    } catch (error) {
      if (this.current === one) complain(error);
    }
    this.prepare();
  }

  async ready(id) {
    const asked = this.detail(id);
    const found = await asked;
    asked.ready = found;
    return found;
  }

  /** Read those who come next, and their pictures. */
  prepare() {
    const i = this.items.indexOf(this.current);
    for (const one of this.items.slice(i + 1, i + 1 + AHEAD)) {
      this.ready(one.stranger).then(({ stranger, candidates }) => {
        preload([...bestPictures(stranger, 6).map(({ url }) => url), ...candidates.map((other) => other.picture)]);
      }, () => {});
    }
  }

  slide() {
    this.stage.classList.remove('comes');
    void this.stage.offsetWidth;
    this.stage.classList.add('comes');
  }

  showEnd() {
    note({ at: null });
    const isFiltered = params().least || params().video;
    fill(this.place, this.note
      ? empty('Strangers are not kept in this project', this.note)
      : empty('Nobody is left to name', isFiltered ? 'Of those whom the filters show, that is.' : 'Everybody who was seen has a name, or is hidden. Add videos to see more people.',
          isFiltered ? h('button', { type: 'button', onclick: () => this.showAll() }, 'Show all strangers') : h('a.button', { href: link('/', { project: this.where }) }, 'Videos')));
  }

  showAll() {
    note({ least: null, video: null });
    this.filters.clear();
    this.refilter();
  }

  step(by) {
    const i = this.items.indexOf(this.current);
    const next = this.items[i + by];
    if (next) this.show(next, { isFocused: true });
    else toast(by > 0 ? 'That was the last one.' : 'This is the first one.');
  }

  name({ person_id: person, identity, stranger }) {
    const one = this.items.find((other) => other.stranger === stranger.stranger);
    if (!one) return;
    this.answer(one, `${one.label} is ${identity}`, () => post(at`projects/${this.where}/strangers/${one.stranger}/name`, { person_id: person }));
  }

  hide() {
    const one = this.current;
    if (!one || !may('curate')) return;
    const text = one.hidden ? `${one.label} is shown again` : `${one.label} is hidden`;
    this.answer(one, text, () => post(at`projects/${this.where}/strangers/${one.stranger}/hide`, undefined, { query: { no_longer: one.hidden || null } }));
  }

  /** Go on at once: the answer is sent while the next one is shown, one answer after the other. */
  answer(one, text, send) {
    const i = this.items.indexOf(one);
    this.items = this.items.filter((other) => other !== one);
    this.total -= i >= 0 ? 1 : 0;
    this.drawList();
    if (one === this.current) this.show(this.items[Math.max(0, i)] ?? this.items.at(-1), { isFocused: true });
    return this.send(text, send, [one.stranger], one);
  }

  /** Send an answer in its turn; return what the service answers, null where it was refused. */
  async send(text, send, ids, one = null) {
    ids.forEach((id) => this.onTheirWay.add(id));
    const answer = await apply(text, send, this);
    ids.forEach((id) => this.onTheirWay.delete(id));
    if (answer) this.answered.push(ids);
    else if (one && this.isConnected) {
      await this.read().catch(complain);
      await this.show(this.items.find((other) => other.stranger === one.stranger) ?? this.current, { isFocused: true });
    }
    return answer;
  }

  /** Names have changed: by an answer of this view, which has gone on, or by taking one back, which returns to whom it was about. */
  async changed(owner) {
    this.details.clear();
    const back = owner === this ? null : this.answered.pop()?.[0];
    try {
      await this.read();
      const wanted = back ?? this.current?.stranger;
      const found = this.items.find((one) => one.stranger === wanted) ?? (back ? await this.one(back) : null);
      if (found && found.stranger === this.current?.stranger) await this.keep(found);
      else await this.show(found ?? this.items[0], { isFocused: true });
    } catch (error) {
      complain(error);
    }
  }

  /** Show what is new of the one who is shown, without a moment of nothing. */
  async keep(one) {
    this.current = one;
    this.rows.choose(one, { isMoving: false });
    const { stranger, candidates } = await this.ready(one.stranger);
    if (this.current === one) this.stage.show(this.where, stranger, candidates);
    this.prepare();
  }

  /** Show what a name would change; Enter applies just that. */
  async showPreview(given) {
    const one = this.current;
    if (!one || !may('curate')) return;
    if (!given) return void toast('Type a name first: nobody is suggested.');
    const address = at`projects/${this.where}/strangers/${one.stranger}/name`;
    const body = { person_id: given.person_id };
    try {
      const answer = await post(address, body, { query: { preview: true }, signal: this.inner.signal });
      if (this.current !== one) return;
      const text = `${one.label} is ${given.identity}`;
      showPreview(this.preview, answer, {
        title: text, notes: notesOf(answer), signal: this.inner.signal,
        onapply: () => this.answer(one, text, () => post(address, body, { query: { expect: answer.version } })),
        oncancel: () => this.leavePreview(),
      });
    } catch (error) {
      complain(error);
    }
  }

  leavePreview({ isFocused = true } = {}) {
    if (!this.preview.firstChild) return;
    fill(this.preview);
    if (isFocused) this.stage.focusField();
  }
}

customElements.define('fr-strangers-view', StrangersView);
