/** Two who may be one person: yes joins them, no is remembered and never asked again. */

import { at, get, post } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { apply, edits } from '../core/edits.js';
import { bindKeys } from '../core/keys.js';
import { lacks, may } from '../core/session.js';
import { bestPictures, likeliness, scene, sceneName } from '../core/strangers.js';
import { count, length } from '../core/text.js';
import { complain } from '../core/toast.js';
import { empty, loading } from '../core/view.js';
import { face } from './face.js';

const PICTURES = 4;

class Cards {
  constructor(view, place, signal) {
    Object.assign(this, { view, place, signal, where: view.where, pairs: [], i: 0, cursor: null, isAtEnd: false, settled: new Set(), done: [] });
  }

  /** Read on until there is a pair, or no more. */
  async fill() {
    while (this.i >= this.pairs.length && !this.isAtEnd) {
      const page = await get(at`projects/${this.where}/same-person`, { query: { cursor: this.cursor }, signal: this.signal });
      this.pairs.push(...page.items);
      this.cursor = page.next_cursor;
      this.isAtEnd = page.next_cursor === null;
    }
  }

  get pair() {
    return this.pairs[this.i];
  }

  async draw() {
    if (this.i >= this.pairs.length && !this.isAtEnd) fill(this.place, loading('Comparing strangers…'));
    await this.fill();
    // Who was joined or named meanwhile is asked about no more.
    while (this.pair && [this.pair.stranger, this.pair.other].some((one) => one && this.settled.has(one.stranger))) {
      this.i += 1;
      await this.fill();
    }
    if (!this.pair) return void fill(this.place, empty('Nobody else is alike', 'Strangers who may be the same person are asked about here.'));
    const { stranger, other, person } = this.pair;
    const allowed = may('curate');
    const button = (text, key, run, isOwn = true) => h('button', { type: 'button', class: key === 'Y' ? 'primary' : null, disabled: isOwn && !allowed, title: isOwn && !allowed ? lacks('curate') : null, onclick: run }, text, h('kbd', { 'aria-hidden': 'true' }, key));
    fill(this.place, h('div.card.stack.same', {},
      h('h2', {}, person ? ['Is this ', h('bdi', {}, person.identity), '?'] : 'Are these the same person?'),
      h('div.same-sides', {}, this.side(stranger), other ? this.side(other) : this.enrolled(person)),
      h('div.row.centre', {}, button('Yes, the same', 'Y', () => this.yes()), button('No, two people', 'N', () => this.no()), button('Skip', 'S', () => this.next(), false))));
  }

  side(one) {
    const shown = bestPictures(one, PICTURES);
    return h('section.stack', { 'aria-label': one.label }, h('h3', {}, one.label),
      h('ul.same-faces', {}, shown.map(({ url, track }, i) => h('li', {}, h('a.picture-link', { href: scene(this.where, track), title: sceneName(track) }, face(url, `${one.label} in ${sceneName(track)}, picture ${i + 1}`))))),
      h('p.quiet.small', {}, `${length(one.screen_time_s)} in view, in ${count(one.videos, 'video')}`));
  }

  enrolled(person) {
    return h('section.stack', { 'aria-label': person.identity }, h('h3', {}, h('bdi', {}, person.identity)),
      h('ul.same-faces', {}, h('li', {}, face(person.picture, `An enrolled picture of ${person.identity}`))),
      h('p.quiet.small', {}, `enrolled, ${likeliness(person.probability)}`));
  }

  next() {
    this.i += 1;
    return this.draw().catch(complain);
  }

  back() {
    this.i = Math.max(0, this.i - 1);
    return this.draw().catch(complain);
  }

  yes() {
    if (!this.pair || !may('curate')) return;
    const { stranger, other, person } = this.pair;
    // The one who is seen longer stays.
    const gone = other ?? stranger;
    const address = at`projects/${this.where}/strangers/${gone.stranger}/`;
    this.settled.add(gone.stranger);
    this.answer(`${gone.label} is ${other ? stranger.label : person.identity}`,
      () => (other ? post(`${address}merge`, { stranger: stranger.stranger }) : post(`${address}name`, { person_id: person.person_id })), gone.stranger);
  }

  no() {
    if (!this.pair || !may('curate')) return;
    const { stranger, other, person } = this.pair;
    this.answer(`${stranger.label} is not ${other?.label ?? person.identity}`,
      () => post(at`projects/${this.where}/strangers/${stranger.stranger}/different`, { other: other?.stranger ?? person.person_id }));
  }

  /** Go on at once; the answer is sent in its turn. */
  async answer(text, send, settled = null) {
    const place = this.i;
    this.next();
    if (await apply(text, send, this)) this.done.push({ at: place, settled });
    else {
      this.settled.delete(settled);
      this.i = place;
      await this.draw().catch(complain);
    }
  }

  /** An answer was taken back: its pair is shown again. */
  undone(owner) {
    if (owner === this) return;
    const last = this.done.pop();
    if (!last) return;
    this.settled.delete(last.settled);
    this.i = last.at;
    this.draw().catch(complain);
  }
}

/** Draw them below the head of the view. */
export async function drawSamePeople(view, head, signal) {
  const place = h('div', {}, loading('Comparing strangers…'));
  fill(view, head, place);
  const cards = new Cards(view, place, signal);
  edits.addEventListener('edit', ({ detail }) => cards.undone(detail.owner), { signal });
  bindKeys('Same person?', [
    { keys: ['y'], does: 'Yes, the same person', run: () => cards.yes() },
    { keys: ['n'], does: 'No, two people: never ask again', run: () => cards.no() },
    { keys: ['s', 'ArrowRight'], does: 'Skip', run: () => cards.next() },
    { keys: ['ArrowLeft'], does: 'Back to the pair before', run: () => cards.back() },
  ], signal);
  await cards.draw();
}
