/** Names given by hand that the faces speak against: each is put right by one key, or found to be right and never asked about again. */

import { at, get, post } from '../../core/api.js';
import { h } from '../../core/dom.js';
import { may } from '../../core/session.js';
import { likeliness, scene, sceneName } from '../../core/strangers.js';
import { empty } from '../../core/view.js';
import { face } from '../face.js';
import { Questions } from './questions.js';

const PICTURES = 4;

class DoubtfulNames extends Questions {
  get waiting() {
    return 'Comparing names with faces…';
  }

  page(cursor) {
    return get(at`projects/${this.where}/doubtful-names`, { query: { cursor }, signal: this.signal });
  }

  none() {
    return empty('No name is in doubt', 'Names that were given by hand, and whose faces look more like another person, are asked about here.');
  }

  card(one) {
    const crops = Array.from({ length: Math.min(PICTURES, one.pictures) }, (_, k) => one.crop.replace(/0\.jpg$/, `${k}.jpg`));
    return h('div.card.stack.same', {},
      h('h2', {}, 'Named ', h('bdi', {}, one.identity), '. Is this ', h('bdi', {}, one.other.identity), '?'),
      h('div.same-sides', {},
        h('section.stack', { 'aria-label': 'The face' }, h('h3', {}, h('a', { href: scene(this.where, one) }, h('bdi', {}, sceneName(one)))),
          h('ul.same-faces', {}, crops.length ? crops.map((url, k) => h('li', {}, face(url, `The face, picture ${k + 1}`))) : h('li.quiet', {}, 'No picture is kept: see the scene.'))),
        this.side(one.other, `${likeliness(one.other.probability)} by the faces`), this.side(one, 'the name that was given')),
      h('div.row.centre', {},
        this.button(`It is ${one.other.identity}`, 'Y', () => this.correct(), { isFirst: true }), this.button(`${one.identity} is right`, 'N', () => this.keep()),
        this.button('Neither', 'B', () => this.deny()), this.button('Skip', 'S', () => this.next(), { isOwn: false })));
  }

  side(person, text) {
    return h('section.stack', { 'aria-label': person.identity }, h('h3', {}, h('bdi', {}, person.identity)),
      h('ul.same-faces', {}, h('li', {}, face(person.picture, `An enrolled picture of ${person.identity}`))), h('p.quiet.small', {}, text));
  }

  correct() {
    this.tell('is', ({ other }) => [other, `Named ${other.identity}`]);
  }

  /** The name is right: then the face is not the other person's, which is remembered. */
  keep() {
    this.tell('is_not', ({ identity, other }) => [other, `${identity} is right, and not ${other.identity}`]);
  }

  deny() {
    this.tell('is_not', (one) => [one, `Not ${one.identity}`]);
  }

  tell(kind, about) {
    const one = this.current;
    if (!one || !may('curate')) return;
    const [person, text] = about(one);
    const tracks = [{ video_id: one.video_id, track_id: one.track_id }];
    this.answer(text, () => post(at`projects/${this.where}/tracks/corrections`, { kind, person_id: person.person_id, tracks }));
  }
}

/** Draw them below the head of the view. */
export function drawDoubtfulNames(view, head, signal) {
  const doubts = new DoubtfulNames(view.where, signal);
  return doubts.begin(view, head, 'Check names', [
    { keys: ['y'], does: 'It is whom the faces look like', run: () => doubts.correct() },
    { keys: ['n'], does: 'The name is right: do not ask again', run: () => doubts.keep() },
    { keys: ['b'], does: 'Neither of them', run: () => doubts.deny() },
  ]);
}
