/** Two who may be one person: yes joins them, no is remembered and never asked again. */

import { at, get, post } from '../../core/api.js';
import { h } from '../../core/dom.js';
import { may } from '../../core/session.js';
import { bestPictures, likeliness, scene, sceneName } from '../../core/strangers.js';
import { count, length } from '../../core/text.js';
import { empty } from '../../core/view.js';
import { face } from '../face.js';
import { Questions } from './questions.js';

const PICTURES = 4;

class SamePeople extends Questions {
  get waiting() {
    return 'Comparing strangers…';
  }

  page(cursor) {
    return get(at`projects/${this.where}/same-person`, { query: { cursor }, signal: this.signal });
  }

  /** Who was joined or named meanwhile is asked about no more. */
  about({ stranger, other }) {
    return [stranger, other].filter(Boolean).map((one) => one.stranger);
  }

  none() {
    return empty('Nobody else is alike', 'Strangers who may be the same person are asked about here.');
  }

  card({ stranger, other, person }) {
    return h('div.card.stack.same', {},
      h('h2', {}, person ? ['Is this ', h('bdi', {}, person.identity), '?'] : 'Are these the same person?'),
      h('div.same-sides', {}, this.side(stranger), other ? this.side(other) : this.enrolled(person)),
      h('div.row.centre', {}, this.button('Yes, the same', 'Y', () => this.yes(), { isFirst: true }), this.button('No, two people', 'N', () => this.no()), this.button('Skip', 'S', () => this.next(), { isOwn: false })));
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

  yes() {
    if (!this.current || !may('curate')) return;
    const { stranger, other, person } = this.current;
    // The one who is seen longer stays.
    const gone = other ?? stranger;
    const address = at`projects/${this.where}/strangers/${gone.stranger}/`;
    this.answer(`${gone.label} is ${other ? stranger.label : person.identity}`,
      () => (other ? post(`${address}merge`, { stranger: stranger.stranger }) : post(`${address}name`, { person_id: person.person_id })), gone.stranger);
  }

  no() {
    if (!this.current || !may('curate')) return;
    const { stranger, other, person } = this.current;
    this.answer(`${stranger.label} is not ${other?.label ?? person.identity}`,
      () => post(at`projects/${this.where}/strangers/${stranger.stranger}/different`, { other: other?.stranger ?? person.person_id }));
  }
}

/** Draw them below the head of the view. */
export function drawSamePeople(view, head, signal) {
  const pairs = new SamePeople(view.where, signal);
  return pairs.begin(view, head, 'Same person?', [
    { keys: ['y'], does: 'Yes, the same person', run: () => pairs.yes() },
    { keys: ['n'], does: 'No, two people: never ask again', run: () => pairs.no() },
  ]);
}
