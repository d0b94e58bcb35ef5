/** One stranger, large: their pictures, who they may be, and a field for their name. Nothing moves when the next one comes. */

import { go, link } from '../core/address.js';
import { fill, h } from '../core/dom.js';
import { lacks, may } from '../core/session.js';
import { count, length } from '../core/text.js';
import { bestPictures, likeliness, scene, sceneName } from '../core/strangers.js';
import { face } from './face.js';
import { nameField } from './name_field.js';

const PICTURES = 6;

/**
 * Sends `answer` with `{person_id, identity, stranger}`, `preview` with the same or null, `hide`, `skip` and `back`.
 */
class StrangerStage extends HTMLElement {
  connectedCallback() {
    if (this.field) return;
    const allowed = may('curate');
    const tip = allowed ? null : lacks('curate');
    this.candidates = [];
    this.heading = h('h2', { tabindex: '-1' });
    this.facts = h('p.quiet');
    this.pictures = h('ul.stage-pictures', { 'aria-label': 'Where they are seen' });
    this.field = nameField('Name of this person', { placeholder: 'Type a name', about: () => this.stranger, onname: ({ about, ...one }) => this.tell('answer', one, about), onleave: () => this.heading.focus() });
    this.field.addEventListener('keydown', (event) => this.press(event), { capture: true });
    this.choices = h('ol.candidates', { 'aria-label': 'Who it may be' });
    this.group = h('a.button', { href: '#' }, 'All scenes');
    const action = (text, key, name, onlyCurators = true, given = () => null) =>
      h('button', { type: 'button', disabled: onlyCurators && !allowed, title: onlyCurators ? tip : null, onclick: () => this.tell(name, given()) }, text, h('kbd', { 'aria-hidden': 'true' }, key));
    fill(this,
      this.pictures,
      h('div.stage-answer.stack', {},
        h('div', {}, this.heading, this.facts),
        allowed ? this.field : h('p.quiet', {}, tip),
        this.choices,
        h('div.row.stage-actions', {}, action('Skip', '→', 'skip', false), action('Hide', 'Del', 'hide'), action('Preview', '⇧ Enter', 'preview', true, () => this.suggested), this.group)));
  }

  async tell(name, detail, stranger = this.stranger) {
    // Of a name that is being typed, too.
    const given = (name === 'preview' ? await this.field.meant() : null) ?? detail;
    this.dispatchEvent(new CustomEvent(name, { detail: given && { ...given, stranger } }));
  }

  /** Show one; `candidates` is null while they are read. */
  show(project, stranger, candidates) {
    this.stranger = stranger;
    this.candidates = candidates ?? [];
    fill(this.heading, stranger.label, stranger.hidden ? h('span.tag', {}, 'hidden') : null);
    this.facts.textContent = `${length(stranger.screen_time_s)} in view, in ${count(stranger.videos, 'video')}`;
    this.group.href = link('/strangers', { project, stranger: stranger.stranger });
    fill(this.group, stranger.track_count > 1 ? `All ${stranger.track_count} scenes` : 'Scene', h('kbd', { 'aria-hidden': 'true' }, 'G'));
    const shown = bestPictures(stranger, PICTURES);
    fill(this.pictures, shown.length
      ? shown.map(({ url, track }, i) => h('li', {}, h('a.picture-link', { href: scene(project, track) },
          face(url, `${stranger.label} in ${sceneName(track)}, picture ${i + 1}`, { loading: 'eager' }), h('span.small.quiet.clip', { 'aria-hidden': 'true' }, h('bdi', {}, sceneName(track))))))
      : h('li.quiet', {}, 'No picture is kept.'));
    fill(this.choices, candidates === null ? h('li.quiet', {}, 'Comparing…') : this.candidates.length
      ? this.candidates.map((one, i) => this.choice(one, i))
      : h('li.quiet', {}, 'Nobody enrolled is like them. Type a name to begin.'));
  }

  choice(one, i) {
    const allowed = may('curate');
    return h('li', {}, h('button.candidate', {
      type: 'button', class: one.is_sure ? 'sure' : null, disabled: !allowed, title: allowed ? null : lacks('curate'), onclick: () => this.tell('answer', one),
    },
      face(one.picture, '', { loading: 'eager' }),
      h('span.candidate-name', {}, h('bdi.clip', {}, one.identity), h('span.small.quiet', {}, one.is_sure ? `suggested, ${likeliness(one.probability)}` : likeliness(one.probability))),
      one.is_sure ? h('kbd', { 'aria-hidden': 'true' }, 'Enter') : null,
      h('kbd', { 'aria-hidden': 'true' }, String(i + 1))));
  }

  /** Who is suggested, if anybody is sure enough. */
  get suggested() {
    return this.candidates.find((one) => one.is_sure) ?? null;
  }

  /** Whether a key in the field is an answer and no part of a name. */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter' && event.shiftKey) this.take(event, () => this.tell('preview', this.suggested));
    else if (!this.field.value.trim()) this.pressInEmpty(event);
  }

  pressInEmpty(event) {
    if (event.key === 'Enter') this.take(event, () => this.accept());
    else if (/^[1-5]$/.test(event.key)) this.take(event, () => this.choose(Number(event.key)));
    else if (event.key === 'ArrowRight') this.take(event, () => this.tell('skip', null));
    else if (event.key === 'ArrowLeft') this.take(event, () => this.tell('back', null));
    else if (event.key === 'Delete') this.take(event, () => this.tell('hide', null));
  }

  take(event, run) {
    event.preventDefault();
    event.stopPropagation();
    run();
  }

  /** Go to all scenes of this stranger. */
  openGroup() {
    if (this.stranger) go(this.group.pathname + this.group.search);
  }

  accept() {
    if (this.suggested) this.tell('answer', this.suggested);
  }

  choose(number) {
    const one = this.candidates[number - 1];
    if (one && may('curate')) this.tell('answer', one);
  }

  /** Be ready for an answer; a phone's keyboard does not come up by itself. */
  focusField() {
    if (!may('curate')) return;
    this.field.value = '';
    if (matchMedia('(pointer: fine)').matches) this.field.focus();
  }
}

customElements.define('fr-stranger-stage', StrangerStage);
