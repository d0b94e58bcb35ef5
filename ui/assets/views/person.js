/** One person: the pictures that are learned from, where they are seen, and what they are called. */

import { go, link, note, params } from '../core/address.js';
import { at, get, patch, post, Problem } from '../core/api.js';
import { fill, h, icon } from '../core/dom.js';
import { apply, edits } from '../core/edits.js';
import { closesWithEscape } from '../core/keys.js';
import { forgetPeople, nameProblem, people, personId } from '../core/people.js';
import { lacks, may, project } from '../core/session.js';
import { certainty, clock, count, length } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { empty, View } from '../core/view.js';
import { addPictures } from '../elements/add_pictures.js';
import { showPreview } from '../elements/change.js';
import { consentOf } from '../elements/consent.js';
import { face } from '../elements/face.js';
import { forgetting, receiptOf } from '../elements/forget.js';
import { nameField } from '../elements/name_field.js';
import { plainReason } from '../elements/reasons.js';
import { Tiles } from '../elements/tiles.js';

const PAGE = 60;
const MOST = 1000;
const PICTURES = 24;
const PEN = 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4';
const WORDS = { taken: 'learned from', disabled: 'set aside', refused: 'refused' };
const PLACES = { taken: 1, disabled: 2, refused: 3 };

class PersonView extends View {
  async build() {
    this.where = project();
    this.person = personId(params().person ?? '');
    if (!this.person) {
      fill(this, h('h1.hidden-text', {}, 'Person'), empty('Nobody is chosen', 'Choose a person from the wall.', h('a.button', { href: link('/people', { project: this.where }) }, 'People')));
      return;
    }
    this.former ??= [];
    this.items = [];
    this.showsAll = false;
    this.pictures = new Tiles({ name: 'Pictures', kind: 'pictures', keyOf: (one) => one.face_id, make: (one) => this.picture(one), onselect: () => this.drawBar() });
    this.moments = new Tiles({ name: 'Appearances', kind: 'moments', keyOf: momentKey, make: (one) => this.moment(one), onselect: () => this.drawBar() });
    try {
      await this.read(PAGE);
    } catch (error) {
      if (error.status !== 404) throw error;
      fill(this, h('h1.hidden-text', {}, 'Person'), empty(`Nobody is called ${this.person.replaceAll('_', ' ')}`, 'Perhaps they have another name by now, or were forgotten.',
        h('a.button', { href: link('/people', { project: this.where }) }, 'All people')));
      return;
    }
    this.layOut();
    this.draw();
    if (!this.isBound) this.bindAll();
  }

  /** Read the pictures, what is proposed about them, and the first `most` appearances. */
  async read(most) {
    const { where, person, signal } = this;
    // Who was only confirmed in videos has no pictures.
    const isEnrolled = (await people(where)).some((one) => one.person_id === person);
    const times = get(at`projects/${where}/screen-times`, { query: { person_id: person }, signal });
    // Who is nowhere is not asked for: browsers write each answer of that kind on their consoles.
    if (!isEnrolled && !(await times).length) throw new Problem(404, 'Nobody', `Nobody is called ${person.replaceAll('_', ' ')}`);
    const orNone = (address) => (isEnrolled ? get(address, { signal }) : []);
    const [pictures, proposed, [time], page] = await Promise.all([
      orNone(at`projects/${where}/people/${person}`),
      orNone(at`projects/${where}/people/${person}/outliers`),
      times,
      get(at`projects/${where}/appearances`, { query: { person_id: person, limit: Math.min(most, MOST) }, signal }),
    ]);
    if (person !== this.person) return;
    this.proposed = new Map(proposed.map((one) => [one.face_id, one]));
    const isOdd = (one) => this.proposed.get(one.face_id)?.enabled === false;
    const place = (one) => (isOdd(one) ? 0 : PLACES[one.status]);
    this.all = pictures.sort((one, other) => place(one) - place(other));
    this.time = time ?? null;
    this.items = page.items;
    this.cursor = page.next_cursor;
    this.identity = page.items[0]?.identity ?? person.replaceAll('_', ' ');
  }

  /** Names have changed: read again what is shown. Who has another name again is followed to it. */
  async refresh() {
    forgetPeople();
    try {
      const names = new Set((await people(this.where)).map((one) => one.person_id));
      const former = names.has(this.person) ? null : this.former.findLast((one) => names.has(one));
      if (former) {
        this.person = former;
        note({ person: former });
      }
      await this.read(Math.max(PAGE, this.items.length));
      this.draw();
    } catch (error) {
      if (error.status === 404) this.start();
      else complain(error);
    }
  }

  layOut() {
    const closed = this.closed();
    this.heading = h('div.person-title');
    this.facts = h('p.quiet', { role: 'status' });
    this.panel = h('div');
    this.odd = h('div.stack');
    this.pictureCount = h('h2.grow');
    this.advice = h('p.quiet.small', { hidden: !may('curate') }, 'Click a picture to set it aside: names are then found without it. Click again to learn from it.');
    this.allPictures = h('div.row');
    this.momentCount = h('h2.grow');
    this.more = h('div.row.centre');
    this.none = h('div');
    this.bar = h('div.selection', { hidden: true, role: 'region', 'aria-label': 'What is selected' });
    this.adding = closesWithEscape(h('div', { hidden: true }), () => (this.toggleAdding(), this.addButton.focus()));
    this.addButton = h('button', { type: 'button', ...closed, 'aria-expanded': 'false', onclick: () => this.toggleAdding() }, 'Add pictures');
    fill(this,
      h('a.small', { href: link('/people', { project: this.where }) }, '← All people'),
      h('div.head', {}, this.heading, this.facts,
        h('div.row.end', {}, h('button', { type: 'button', ...closed, onclick: () => this.openMerge() }, 'Merge with…'))),
      this.panel,
      h('section.part', { 'aria-label': 'Pictures' }, h('div.row', {}, this.pictureCount, this.addButton), this.adding, this.odd, this.advice, this.pictures.element, this.allPictures),
      h('section.part', { 'aria-label': 'Appearances' }, h('div.row', {}, this.momentCount), this.none, this.moments.element, this.more),
      h('div.part.two', {}, consentOf(this.where, this.person, this.signal), this.forgetCard = h('div')),
      this.bar);
    if (params().job) this.toggleAdding();
  }

  closed(role = 'curate') {
    return may(role) ? {} : { disabled: true, title: lacks(role) };
  }

  draw() {
    document.title = `${this.identity} · FaceRec`;
    if (!this.heading.querySelector('form')) this.drawTitle();
    const by = (status) => this.all.filter((one) => one.status === status).length;
    const parts = Object.keys(WORDS).filter(by).map((status) => `${by(status).toLocaleString('en')} ${WORDS[status]}`);
    this.pictureCount.textContent = this.all.length ? `Pictures: ${parts.join(', ')}` : 'Pictures';
    this.facts.textContent = this.time ? `In view ${length(this.time.screen_time_s)} in ${count(this.time.videos, 'video')}` : 'In no video';
    this.drawOdd();
    this.pictures.show(this.showsAll ? this.all : this.all.slice(0, PICTURES));
    fill(this.allPictures, this.all.length > PICTURES && !this.showsAll
      && h('button', { type: 'button', onclick: () => ((this.showsAll = true), this.draw()) }, `Show all ${count(this.all.length, 'picture')}`));
    this.momentCount.textContent = 'Appearances';
    this.moments.show(this.items);
    fill(this.none, !this.items.length && h('p.quiet', {}, 'In no video that was analysed so far.'));
    this.drawMore();
    if (this.drawnFor !== this.identity) {
      this.drawnFor = this.identity;
      fill(this.forgetCard, forgetting(this.where, this.person, this.identity, (receipt) => fill(this, receiptOf(receipt, this.identity, this.where))));
    }
  }

  drawMore() {
    fill(this.more, this.cursor && h('button', { type: 'button', onclick: () => this.readMore() }, 'Show more appearances'));
  }

  drawTitle() {
    fill(this.heading,
      h('h1', {}, h('bdi', {}, this.identity)),
      h('button.bare', { type: 'button', ...this.closed(), 'aria-label': 'Rename', title: may('curate') ? 'Rename (R)' : lacks('curate'), onclick: () => this.openRename() }, icon(PEN)));
  }

  /** What is proposed about the pictures. */
  drawOdd() {
    const byKind = (enabled) => this.all.filter((one) => this.proposed.get(one.face_id)?.enabled === enabled);
    const [odd, fits] = [byKind(false), byKind(true)];
    fill(this.odd,
      odd.length > 0 && h('div.hint.row', {},
        h('span.grow', {}, odd.length === 1 ? 'The first picture seems to show another person.' : `The first ${odd.length} pictures seem to show another person.`),
        h('button', { type: 'button', ...this.closed(), onclick: () => this.enable(odd, false) }, odd.length === 1 ? 'Set it aside' : 'Set them aside', h('kbd', { 'aria-hidden': 'true' }, 'O'))),
      fits.length > 0 && h('div.hint.row', {},
        h('span.grow', {}, `${count(fits.length, 'picture')} that ${fits.length === 1 ? 'was' : 'were'} set aside for showing another person ${fits.length === 1 ? 'fits' : 'fit'} after all.`),
        h('button', { type: 'button', ...this.closed(), onclick: () => this.enable(fits, true) }, 'Learn from them again')));
  }

  picture(one) {
    const odd = this.proposed.get(one.face_id)?.enabled === false;
    const isOn = one.status === 'taken';
    const name = one.path.split('/').at(-1);
    const why = odd ? this.proposed.get(one.face_id).reason : one.reason;
    const closed = one.crop === null ? `No face can be learned from it${why ? `: ${why}` : ''}` : may('curate') ? null : lacks('curate');
    const pick = h('button.pick', {
      type: 'button', class: odd ? 'odd' : one.status, 'aria-pressed': String(isOn), 'aria-disabled': closed ? 'true' : null,
      'aria-label': `${name}: ${WORDS[one.status]}${why ? `, ${plainReason(why)}` : ''}`, title: closed ?? `${isOn ? 'Click to set it aside' : 'Click to learn from it'}${why ? `. ${why}` : ''}`,
      onclick: () => (closed ? toast(closed) : this.enable([one], !isOn)),
    },
      face(one.crop, ''),
      h('span.pick-state.small', { 'aria-hidden': 'true' }, odd ? 'not them?' : isOn ? '' : WORDS[one.status]));
    return [pick, why && h('span.quiet.small.why', { title: why }, plainReason(why))];
  }

  moment(one) {
    const { video_id: video, video: name, start_s: start, end_s: end, probability, crop } = one;
    return [
      h('a', { href: link('/video', { project: this.where, video, t: start.toFixed(2), person: this.person }) },
        face(crop, ''),
        h('span.clip.moment-name', { title: name }, h('bdi', {}, name)),
        h('span.quiet.small', {}, h('span.number', {}, clock(start)), ' · ', h('span.number', {}, length(end - start)), ' · ', h('span.number', { title: 'How certain the name is' }, certainty(probability)))),
      h('button.link.small', { type: 'button', ...this.closed(), onclick: () => this.reject([one]), 'aria-label': `Not ${this.identity}: ${name} at ${clock(start)}` }, 'Not this person'),
    ];
  }

  async readMore() {
    try {
      const page = await get(at`projects/${this.where}/appearances`, { query: { person_id: this.person, limit: PAGE, cursor: this.cursor }, signal: this.signal });
      const first = this.items.length;
      this.items = [...this.items, ...page.items];
      this.cursor = page.next_cursor;
      this.moments.append(page.items);
      this.drawMore();
      this.moments.focus(first);
    } catch (error) {
      complain(error);
    }
  }

  bindAll() {
    this.isBound = true;
    this.listen(edits, 'edit', () => this.refresh());
    const allowed = () => may('curate') || void toast(lacks('curate'), { tone: 'wrong' });
    const odd = () => this.all.filter((one) => this.proposed.get(one.face_id)?.enabled === false);
    this.bind('Person', [
      { keys: ['ArrowRight', 'j'], does: 'Next picture or appearance', run: () => this.move(1) },
      { keys: ['ArrowLeft', 'k'], does: 'The one before', run: () => this.move(-1) },
      { keys: ['ArrowDown'], does: 'A row down', run: () => this.move(1, true) },
      { keys: ['ArrowUp'], does: 'A row up', run: () => this.move(-1, true) },
      { keys: ['Enter'], does: 'Open the appearance in its video, or switch the picture', run: () => {} },
      { keys: ['x'], does: 'Select, or no longer (a click with Shift selects several)', run: () => this.grid()?.hasFocus && this.grid().pick() },
      { keys: ['e'], does: 'Learn from the selected pictures, or no longer', run: () => allowed() && this.switchPictures() },
      { keys: ['n'], does: 'Not this person: the selected appearances, or the one with the focus', run: () => allowed() && this.reject(this.moments.meant) },
      { keys: ['o'], does: 'Set aside the pictures that seem to show another person', run: () => allowed() && odd().length && this.enable(odd(), false) },
      { keys: ['r'], does: 'Rename', run: () => allowed() && this.openRename() },
      { keys: ['m'], does: 'Merge with another person', run: () => allowed() && this.openMerge() },
      { keys: ['a'], does: 'Add pictures', run: () => allowed() && this.toggleAdding() },
      { keys: ['Escape'], does: 'Select nothing', run: () => this.grids().forEach((one) => one.clear()) },
    ]);
  }

  grids() {
    return [this.pictures, this.moments].filter((one) => one?.items.length);
  }

  /** The grid with the focus, or the one that had it last. */
  grid() {
    const focused = this.grids().find((one) => one.hasFocus);
    if (focused) this.lastGrid = focused;
    return this.grids().includes(this.lastGrid) ? this.lastGrid : (this.grids()[0] ?? null);
  }

  move(step, isRow = false) {
    const grid = this.grid();
    if (!grid) return;
    if (!grid.hasFocus) grid.focus();
    else if (!grid.move(step, isRow)) {
      const next = this.grids()[this.grids().indexOf(grid) + Math.sign(step)];
      next?.focus(step > 0 ? 0 : next.items.length - 1);
    }
  }

  drawBar() {
    if (!this.bar) return;
    const [pictures, moments] = [this.pictures, this.moments].map((one) => one.items.filter((item) => one.selected.has(one.keyOf(item))));
    this.bar.hidden = !pictures.length && !moments.length;
    const button = (text, run) => h('button', { type: 'button', ...this.closed(), onclick: run }, text);
    fill(this.bar,
      pictures.length > 0 && [h('span', {}, `${count(pictures.length, 'picture')} selected`), button('Learn from them', () => this.enable(pictures, true)), button('Set them aside', () => this.enable(pictures, false))],
      moments.length > 0 && [h('span', {}, `${count(moments.length, 'appearance')} selected`), button('Not this person', () => this.reject(moments))],
      h('button.bare', { type: 'button', onclick: () => this.grids().forEach((one) => one.clear()) }, 'Select nothing'));
  }

  switchPictures() {
    const meant = this.pictures.meant;
    if (meant.length) this.enable(meant, !meant.some((one) => one.status === 'taken'));
  }

  /** Learn from pictures, or no longer: one edit. */
  async enable(chosen, enabled) {
    const able = chosen.filter((one) => one.crop !== null);
    if (!able.length) return;
    const text = `${count(able.length, 'picture')} of ${this.identity} ${able.length === 1 ? 'is' : 'are'} ${enabled ? 'learned from' : 'set aside'}`;
    await this.change(this.pictures, able, text, () => patch(at`projects/${this.where}/faces`, { face_ids: able.map((one) => one.face_id), enabled }));
  }

  /** Some appearances do not show this person: one edit. */
  async reject(chosen) {
    if (!chosen.length) return;
    const tracks = chosen.flatMap((one) => one.track_ids.map((track) => ({ video_id: one.video_id, track_id: track })));
    const text = chosen.length === 1 ? `Not ${this.identity}: ${chosen[0].video} at ${clock(chosen[0].start_s)}` : `${count(chosen.length, 'appearance')} not of ${this.identity}`;
    await this.change(this.moments, chosen, text, () => post(at`projects/${this.where}/tracks/corrections`, { kind: 'is_not', person_id: this.person, tracks }));
  }

  /** Apply an edit of tiles, which are pale until it is done. */
  async change(grid, chosen, text, send) {
    const pale = (is) => chosen.forEach((one) => grid.element.children[grid.items.indexOf(one)]?.classList.toggle('pale', is));
    pale(true);
    grid.selected.clear();
    this.drawBar();
    if (!(await apply(text, send))) pale(false);
  }

  toggleAdding() {
    this.adding.hidden = !this.adding.hidden;
    this.addButton.setAttribute('aria-expanded', String(!this.adding.hidden));
    if (!this.adding.hidden && !this.adding.children.length) fill(this.adding, addPictures(() => this.identity, { onadded: () => this.tellAdded() }));
    if (!this.adding.hidden) this.adding.querySelector('button')?.focus();
  }

  async tellAdded() {
    toast('They count after the next training', { action: { label: 'Train', run: () => go(link('/train', { project: this.where })) } });
    await this.refresh();
  }

  openRename() {
    const field = h('input', { type: 'text', 'aria-label': 'New name', value: this.identity, autocomplete: 'off', spellcheck: 'false', maxlength: '120' });
    const close = () => (this.drawTitle(), this.heading.querySelector('button').focus());
    field.addEventListener('keydown', (event) => event.key === 'Escape' && (event.stopPropagation(), close()));
    fill(this.heading, h('form.row', { onsubmit: (event) => (event.preventDefault(), this.rename(field.value.trim(), close)) },
      h('h1.hidden-text', {}, this.identity), field, h('button.primary', { type: 'submit' }, 'Rename'), h('button', { type: 'button', onclick: close }, 'Cancel')));
    field.select();
  }

  async rename(identity, close) {
    const person = personId(identity);
    if (!person || person === this.person) return close();
    if (nameProblem(identity)) return toast(nameProblem(identity), { tone: 'wrong' });
    const before = this.person;
    if ((await people(this.where)).some((one) => one.person_id === person)) {
      toast(`${identity} is another person already.`, { tone: 'wrong', action: { label: 'Merge both', run: () => (close(), this.openMerge(), this.previewMerge({ person_id: person, identity })) } });
      return null;
    }
    // The answer is told to this view, too: then the person has the new name.
    this.person = person;
    const answer = await apply(`${this.identity} is called ${identity} now`, () => post(at`projects/${this.where}/people/${before}/rename`, { person_id: identity }));
    if (answer) this.isCalled(person, before);
    else this.person = before;
    return null;
  }

  isCalled(person, before) {
    this.former.push(before);
    note({ person });
    this.drawTitle();
  }

  openMerge() {
    const close = () => fill(this.panel);
    const field = nameField('Who they are: the name that stays', { placeholder: 'The name that stays', onname: (who) => this.previewMerge(who), onleave: close });
    this.merging = h('div');
    const section = closesWithEscape(h('section.card.stack.merge', { 'aria-label': 'Merge with another person' },
      h('div.row', {}, h('h2.grow', {}, 'Merge ', h('bdi', {}, this.identity), ' with another person'), h('button.bare', { type: 'button', 'aria-label': 'Close', onclick: close }, '×')),
      field, this.merging), close);
    fill(this.panel, section);
    field.focus();
  }

  /** Show what merging would change, before it is done. */
  async previewMerge({ person_id: into, identity }) {
    const address = at`projects/${this.where}/people/${this.person}/merge`;
    if (into === this.person) return toast('This is the same person.', { tone: 'wrong' });
    if (!(await people(this.where)).some((one) => one.person_id === into)) return toast(`Nobody is called ${identity}. To give another name, rename.`, { tone: 'wrong' });
    fill(this.merging, h('p.quiet', { role: 'status' }, 'Working out what changes…'));
    try {
      const preview = await post(address, { person_id: into }, { query: { preview: true }, signal: this.signal });
      showPreview(this.merging, preview, {
        title: `${this.identity} becomes ${identity}: ${count(this.all.length, 'picture')} and all appearances go there`,
        apply: 'Make them one', signal: this.signal,
        onapply: () => this.merge(address, into, identity, preview.version),
        oncancel: () => fill(this.panel),
      });
    } catch (error) {
      fill(this.merging);
      complain(error);
    }
    return null;
  }

  async merge(address, into, identity, version) {
    const before = this.person;
    this.person = into;
    const answer = await apply(`${this.identity} and ${identity} are one now`, () => post(address, { person_id: into }, { query: { expect: version } }));
    if (answer) this.isCalled(into, before);
    else this.person = before;
    fill(this.panel);
  }
}

function momentKey(one) {
  return `${one.analysis_id}/${one.track_ids[0]}`;
}

customElements.define('fr-person-view', PersonView);
