/** Everybody who is enrolled, as a wall of faces; and adding people. */

import { go, link, note, params } from '../core/address.js';
import { at, get } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { edits } from '../core/edits.js';
import { closesWithEscape } from '../core/keys.js';
import { forgetPeople, people, personId } from '../core/people.js';
import { lacks, may, project } from '../core/session.js';
import { count, folded, length, moment } from '../core/text.js';
import { empty, View } from '../core/view.js';
import { addPictures } from '../elements/add_pictures.js';
import { face } from '../elements/face.js';
import { wall } from '../elements/wall.js';

const CARD_PX = 150;
const BELOW_PX = 74;
const names = new Intl.Collator();
const byName = (one, other) => names.compare(one.identity, other.identity);
const ORDERS = {
  time: ['Screen time', (one, other) => other.screen_time_s - one.screen_time_s],
  name: ['Name', byName],
  newest: ['Newest', (one, other) => other.newest_at - one.newest_at],
  pictures: ['Pictures', (one, other) => other.taken - one.taken],
};

class PeopleView extends View {
  async build() {
    this.where = project();
    this.search = h('input', {
      type: 'search', placeholder: 'Search names', 'aria-label': 'Search names', value: params().q ?? '',
      oninput: () => (note({ q: this.search.value }), this.draw()),
    });
    this.order = h('select', { 'aria-label': 'Order', onchange: () => (note({ sort: this.order.value === 'time' ? null : this.order.value }), this.draw()) },
      Object.entries(ORDERS).map(([value, [text]]) => h('option', { value, selected: (params().sort ?? 'time') === value }, text)));
    this.total = h('p.quiet', { role: 'status' });
    this.hint = h('div');
    this.none = h('div');
    this.wall = wall({ name: 'People', least: CARD_PX, below: BELOW_PX, make: (one) => this.card(one) });
    const onlyReads = !may('curate');
    this.add = h('button.primary', {
      type: 'button', 'aria-expanded': 'false', disabled: onlyReads, title: onlyReads ? lacks('curate') : 'Add a person (A)', onclick: () => this.openAdding(),
    }, 'Add a person');
    this.adding = closesWithEscape(h('div', { hidden: true }), () => this.closeAdding());
    await this.read();
    fill(this,
      h('div.head', {}, h('h1', {}, 'People'), this.search, h('label.row', {}, h('span.quiet', {}, 'by'), this.order), this.total, h('div.row.end', {}, this.add)),
      this.adding, this.hint, this.none, this.wall);
    if (params().job || (!this.all.length && !onlyReads)) this.openAdding({ isFocused: false });
    this.draw();
    if (!this.isBound) this.bindAll();
  }

  bindAll() {
    this.isBound = true;
    this.listen(edits, 'edit', () => this.refresh());
    this.bind('People', [
      { keys: ['/'], does: 'Search names', run: () => this.search.focus() },
      { keys: ['a'], does: 'Add a person', run: () => may('curate') && this.openAdding() },
      { keys: ['ArrowRight', 'j'], does: 'Next person', run: () => this.wall.move(1) },
      { keys: ['ArrowLeft', 'k'], does: 'The person before', run: () => this.wall.move(-1) },
      { keys: ['ArrowDown'], does: 'A row down', run: () => this.wall.move(this.wall.columns) },
      { keys: ['ArrowUp'], does: 'A row up', run: () => this.wall.move(-this.wall.columns) },
    ]);
    this.search.addEventListener('keydown', (event) => this.pressInSearch(event));
  }

  pressInSearch(event) {
    if (event.key === 'Enter' && this.wall.items.length) go(this.linkTo(this.wall.items[0].person_id));
    else if (event.key === 'ArrowDown') this.wall.move(1);
    else return;
    event.preventDefault();
  }

  /** Read who there is, how long each is seen, and what names them now. */
  async read() {
    const { where, signal } = this;
    const [all, times, models] = await Promise.all([
      people(where),
      get(at`projects/${where}/screen-times`, { signal }),
      get(at`projects/${where}/models`, { signal }),
    ]);
    const seen = new Map(times.map((one) => [one.person_id, one]));
    this.all = all.map((one) => ({ screen_time_s: 0, videos: 0, ...one, ...seen.get(one.person_id), folded: folded(one.identity) }));
    this.model = models.find((one) => one.promoted) ?? null;
  }

  async refresh() {
    forgetPeople();
    try {
      await this.read();
      this.draw();
    } catch (error) {
      // What is shown stays; an absent service is told of above.
      if (error.status === undefined && error.name !== 'AbortError') throw error;
    }
  }

  draw() {
    const wanted = folded(this.search.value.trim());
    const [, order] = ORDERS[this.order.value];
    const found = this.all.filter((one) => one.folded.includes(wanted)).sort((one, other) => order(one, other) || byName(one, other));
    this.total.textContent = wanted ? `${found.length.toLocaleString('en')} of ${count(this.all.length, 'person', 'people')}` : count(this.all.length, 'person', 'people');
    fill(this.hint, this.hintNow());
    fill(this.none,
      !this.all.length
        ? empty('Nobody is enrolled yet', 'Add a person: a name and a few pictures are enough. Then train, and every video is named.')
        : !found.length && empty('Nobody has such a name', 'Search for something else.'));
    this.wall.hidden = !found.length;
    this.wall.items = found;
  }

  /** What is to be done before the pictures count. */
  hintNow() {
    if (!this.all.some((one) => one.taken)) return null;
    const newest = Math.max(...this.all.map((one) => one.newest_at));
    const isStale = this.model && newest > this.model.created_at;
    if (this.model && !isStale) return null;
    return h('div.hint.row', {},
      h('span.grow', {}, this.model
        ? `Pictures were added since the last training of ${moment(this.model.created_at)}: they count after the next one.`
        : 'Nothing is trained yet: nobody is named in any video before.'),
      h('a.button', { href: link('/train', { project: this.where }) }, 'Train'));
  }

  linkTo(person) {
    return link('/person', { project: this.where, person });
  }

  card(one) {
    const videos = one.videos ? `${length(one.screen_time_s)} in ${count(one.videos, 'video')}` : 'in no video';
    const rest = [one.disabled && `${one.disabled} set aside`, one.refused && `${one.refused} refused`].filter(Boolean).join(', ');
    return h('li.person', {},
      h('a', { href: this.linkTo(one.person_id) },
        // Of pictures without a face there is none to show.
        face(one.taken + one.disabled > 0 && `/v1/projects/${encodeURIComponent(this.where)}/people/${encodeURIComponent(one.person_id)}/face.jpg`),
        h('bdi.clip.person-name', {}, one.identity),
        h('span.quiet.small.clip', {}, videos),
        h('span.quiet.small.clip', { title: rest || null }, count(one.taken, 'picture'), one.taken ? '' : ' to learn from')));
  }

  /** Open the form for another person. */
  openAdding({ isFocused = true } = {}) {
    if (this.adding.hidden) {
      this.adding.hidden = false;
      this.add.setAttribute('aria-expanded', 'true');
      if (!this.adding.children.length) this.drawAdding();
    } else if (isFocused && this.newName.matches(':focus')) return;
    if (isFocused) this.newName.focus();
  }

  closeAdding() {
    this.adding.hidden = true;
    this.add.setAttribute('aria-expanded', 'false');
    this.add.focus();
  }

  drawAdding() {
    this.known = h('p.small.quiet', { role: 'status' });
    this.newName = h('input', {
      type: 'text', autocomplete: 'off', spellcheck: 'false', maxlength: '120', placeholder: 'Ada Lovelace', value: params().of ?? '',
      oninput: () => this.tellKnown(),
    });
    this.after = h('div.row');
    const pictures = addPictures(() => this.newName.value, { onadded: (who) => this.tellAfter(who), onunnamed: () => this.newName.focus() });
    fill(this.adding, h('section.card.stack.adding', { 'aria-label': 'Add a person' },
      h('div.row', {}, h('h2.grow', {}, 'Add a person'), h('button.bare', { type: 'button', 'aria-label': 'Close', onclick: () => this.closeAdding() }, '×')),
      h('label.stack.new-name', {}, 'Name', this.newName), this.known, pictures, this.after));
  }

  tellKnown() {
    const found = this.all.find((one) => one.person_id === personId(this.newName.value));
    this.known.textContent = found ? `${found.identity} is enrolled already: pictures are added to theirs.` : '';
  }

  async tellAfter({ person_id, identity }) {
    fill(this.after,
      h('a.button', { href: this.linkTo(person_id) }, 'Open ', h('bdi', {}, identity)),
      h('button', { type: 'button', onclick: () => this.nextPerson() }, 'Add another person'));
    await this.refresh();
  }

  nextPerson() {
    this.drawAdding();
    this.newName.value = '';
    this.newName.focus();
  }
}

customElements.define('fr-people-view', PeopleView);
