/** Names given by hand that the faces speak against: each is put right by one key, or kept. */

import { at, get, post } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { apply, edits } from '../core/edits.js';
import { bindKeys } from '../core/keys.js';
import { lacks, may } from '../core/session.js';
import { likeliness, scene, sceneName } from '../core/strangers.js';
import { complain } from '../core/toast.js';
import { empty, loading } from '../core/view.js';
import { face } from './face.js';

const PICTURES = 4;
/** In this browser: the names that were found to be right, so that they are not asked about again. */
const KEPT = 'facerec.kept-names';

class Doubts {
  constructor(view, place, signal) {
    Object.assign(this, { place, signal, where: view.where, names: [], i: 0, cursor: null, isAtEnd: false, done: [] });
    this.kept = new Set(JSON.parse(localStorage.getItem(KEPT) ?? '[]'));
  }

  keyOf(one) {
    return `${this.where}/${one.video_id}/${one.track_id}/${one.person_id}/${one.other.person_id}`;
  }

  /** Read on until there is one, or no more. */
  async read() {
    while (this.i >= this.names.length && !this.isAtEnd) {
      const page = await get(at`projects/${this.where}/doubtful-names`, { query: { cursor: this.cursor }, signal: this.signal });
      this.names.push(...page.items.filter((one) => !this.kept.has(this.keyOf(one))));
      this.cursor = page.next_cursor;
      this.isAtEnd = page.next_cursor === null;
    }
  }

  get current() {
    return this.names[this.i];
  }

  async draw() {
    if (this.i >= this.names.length && !this.isAtEnd) fill(this.place, loading('Comparing names with faces…'));
    await this.read();
    const one = this.current;
    if (!one) return void fill(this.place, empty('No name is in doubt', 'Names that were given by hand, and whose faces look more like another person, are asked about here.'));
    const allowed = may('curate');
    const button = (text, key, run, { isOwn = true, isFirst = false } = {}) =>
      h('button', { type: 'button', class: isFirst ? 'primary' : null, disabled: isOwn && !allowed, title: isOwn && !allowed ? lacks('curate') : null, onclick: run }, text, h('kbd', { 'aria-hidden': 'true' }, key));
    const crops = Array.from({ length: Math.min(PICTURES, one.pictures) }, (_, k) => one.crop.replace(/0\.jpg$/, `${k}.jpg`));
    fill(this.place, h('div.card.stack.same', {},
      h('h2', {}, 'Named ', h('bdi', {}, one.identity), '. Is this ', h('bdi', {}, one.other.identity), '?'),
      h('div.same-sides', {},
        h('section.stack', { 'aria-label': 'The face' }, h('h3', {}, h('a', { href: scene(this.where, one) }, h('bdi', {}, sceneName(one)))),
          h('ul.same-faces', {}, crops.length ? crops.map((url, k) => h('li', {}, face(url, `The face, picture ${k + 1}`))) : h('li.quiet', {}, 'No picture is kept: see the scene.'))),
        this.side(one.other, `${likeliness(one.other.probability)} by the faces`), this.side(one, 'the name that was given'))),
      h('div.row.centre', {},
        button(`It is ${one.other.identity}`, 'Y', () => this.correct(one.other), { isFirst: true }), button(`${one.identity} is right`, 'N', () => this.keep(), { isOwn: false }),
        button('Neither', 'B', () => this.deny()), button('Skip', 'S', () => this.next(), { isOwn: false })));
  }

  side(person, text) {
    return h('section.stack', { 'aria-label': person.identity }, h('h3', {}, h('bdi', {}, person.identity)),
      h('ul.same-faces', {}, h('li', {}, face(person.picture, `An enrolled picture of ${person.identity}`))), h('p.quiet.small', {}, text));
  }

  next() {
    this.i += 1;
    return this.draw().catch(complain);
  }

  back() {
    this.i = Math.max(0, this.i - 1);
    return this.draw().catch(complain);
  }

  correct(person) {
    this.answer(`Named ${person.identity}`, 'is', person.person_id);
  }

  deny() {
    if (this.current) this.answer(`Not ${this.current.identity}`, 'is_not', this.current.person_id);
  }

  keep() {
    if (!this.current) return;
    this.kept.add(this.keyOf(this.current));
    localStorage.setItem(KEPT, JSON.stringify([...this.kept]));
    this.next();
  }

  /** Go on at once; the answer is sent in its turn. */
  async answer(text, kind, person) {
    const one = this.current;
    if (!one || !may('curate')) return;
    const place = this.i;
    this.next();
    const tracks = [{ video_id: one.video_id, track_id: one.track_id }];
    if (await apply(text, () => post(at`projects/${this.where}/tracks/corrections`, { kind, person_id: person, tracks }), this)) this.done.push(place);
    else {
      this.i = place;
      await this.draw().catch(complain);
    }
  }

  /** An answer was taken back: its name is asked about again. */
  undone(owner) {
    const place = owner === this ? undefined : this.done.pop();
    if (place === undefined) return;
    this.i = place;
    this.draw().catch(complain);
  }
}

/** Draw them below the head of the view. */
export async function drawDoubtfulNames(view, head, signal) {
  const place = h('div', {}, loading('Comparing names with faces…'));
  fill(view, head, place);
  const doubts = new Doubts(view, place, signal);
  edits.addEventListener('edit', ({ detail }) => doubts.undone(detail.owner), { signal });
  bindKeys('Check names', [
    { keys: ['y'], does: 'It is whom the faces look like', run: () => doubts.current && doubts.correct(doubts.current.other) },
    { keys: ['n'], does: 'The name is right: do not ask again in this browser', run: () => doubts.keep() },
    { keys: ['b'], does: 'Neither of them', run: () => doubts.deny() },
    { keys: ['s', 'ArrowRight'], does: 'Skip', run: () => doubts.next() },
    { keys: ['ArrowLeft'], does: 'Back to the one before', run: () => doubts.back() },
  ], signal);
  await doubts.draw();
}
