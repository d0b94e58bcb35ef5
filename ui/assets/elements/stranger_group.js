/** All scenes of one stranger: the wrong ones are clicked out, and one name confirms the rest. */

import { go, link } from '../core/address.js';
import { at, get, post } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { apply, edits } from '../core/edits.js';
import { bindKeys } from '../core/keys.js';
import { lacks, may } from '../core/session.js';
import { likeliness, notesOf, scene, sceneName } from '../core/strangers.js';
import { count, length } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { empty } from '../core/view.js';
import { showPreview } from './change.js';
import { face } from './face.js';
import { nameField } from './name_field.js';

const CHOICES = 3;

/**
 * Draw it.
 *
 * @param {import('../core/view.js').View} view
 * @param {string} id
 * @param {AbortSignal} signal Ends when something else is drawn in the view.
 */
export async function drawGroup(view, id, signal) {
  const address = at`projects/${view.where}/strangers/${id}`;
  const [stranger, candidates, merged] = await Promise.all(['', '/candidates', '/merged'].map((part) => get(`${address}${part}`, { signal })));
  // What is drawn anew binds its keys anew.
  const ending = new AbortController();
  signal.addEventListener('abort', () => ending.abort());
  edits.addEventListener('edit', () => {
    ending.abort();
    drawGroup(view, id, signal).catch(complain);
  }, { signal, once: true });
  new Group(view, { stranger, candidates, merged }, ending.signal).draw();
}

class Group {
  constructor(view, read, signal) {
    Object.assign(this, read, { view, signal, where: view.where, out: new Set() });
    this.choices = this.candidates.slice(0, CHOICES);
    this.suggested = this.choices.find((one) => one.is_sure) ?? null;
    this.lacking = may('curate') ? null : lacks('curate');
    this.address = at`projects/${this.where}/strangers/${this.stranger.stranger}`;
    this.queue = link('/strangers', { project: this.where, at: this.stranger.stranger });
  }

  draw() {
    const { stranger, lacking, view } = this;
    const back = h('a', { href: this.queue }, 'Who is this?');
    this.bind();
    if (!stranger.tracks.length) {
      fill(view, h('div.head', {}, back, h('h1', {}, stranger.label)), empty('This stranger is in no scene any more', 'They were named, or joined with another one.'));
      return;
    }
    this.state = h('p', { role: 'status' });
    this.preview = h('div');
    this.field = nameField('Who is this?', { placeholder: 'Who is this? Enter names all that are left', onname: (one) => this.name(one), onleave: () => this.leave() });
    this.field.addEventListener('keydown', (event) => this.press(event), { capture: true });
    fill(view,
      h('div.head', {}, back, h('span.quiet', { 'aria-hidden': 'true' }, '/'), h('h1', {}, stranger.label),
        h('span.quiet', {}, `${length(stranger.screen_time_s)} in view, in ${count(stranger.videos, 'video')}`),
        h('div.row.end', {}, h('button', { type: 'button', disabled: lacking !== null, title: lacking, onclick: () => this.hide() }, stranger.hidden ? 'Show again' : 'Hide'))),
      h('div.card.stack.group-answer', {}, this.state, h('p.quiet.small', {}, 'Click the pictures that show another person, then give the name. Those stay a stranger.'),
        lacking === null ? h('div.row', {}, h('div.group-field', {}, this.field), this.choices.map((one, i) => this.choice(one, i))) : h('p.quiet', {}, lacking)),
      this.preview,
      h('ul.group-tiles', {}, stranger.tracks.map((track, i) => this.tile(track, i))),
      this.merged.length > 0 && this.mergedOnes());
    this.tellState();
    if (lacking === null && matchMedia('(pointer: fine)').matches) this.field.focus();
  }

  bind() {
    const isOpen = () => this.field !== undefined;
    bindKeys('All scenes of a stranger', [
      { keys: ['Enter'], does: 'The suggested person', run: () => this.accept() },
      { keys: ['1', '2', '3'], does: 'One of those whom it may be', run: (event) => this.choose(Number(event.key)) },
      { keys: ['x'], does: 'Leave the picture out that has the focus, or take it in again', run: () => this.view.getRootNode().activeElement?.closest('.group-tile')?.click() },
      { keys: ['p'], does: 'Preview what the suggestion changes (Shift and Enter in the field)', run: () => isOpen() && this.showPreview() },
      { keys: ['n'], does: 'To the field for the name', run: () => isOpen() && this.field.focus() },
      { keys: ['Escape'], does: 'Back to "Who is this?"', run: () => this.leave() },
    ], this.signal);
  }

  choice(one, i) {
    return h('button', { type: 'button', class: one === this.suggested ? 'primary' : null, title: likeliness(one.probability), onclick: () => this.name(one) },
      h('bdi', {}, one.identity), one === this.suggested && h('kbd', { 'aria-hidden': 'true' }, 'Enter'), h('kbd', { 'aria-hidden': 'true' }, String(i + 1)));
  }

  tile(track, i) {
    const button = h('button.group-tile', { type: 'button', 'aria-pressed': 'true', onclick: () => toggle() }, face(track.crop, sceneName(track)), h('span.tile-state', { 'aria-hidden': 'true' }));
    const toggle = () => {
      if (!this.out.delete(i)) this.out.add(i);
      button.setAttribute('aria-pressed', String(!this.out.has(i)));
      // A preview was of other pictures.
      this.endPreview();
      this.tellState();
    };
    return h('li', {}, button, h('a.small.clip', { href: scene(this.where, track), title: sceneName(track) }, h('bdi', {}, sceneName(track))));
  }

  /** Who was merged into this stranger, each to be taken apart. */
  mergedOnes() {
    return h('section.card.stack', { 'aria-label': 'Merged into this stranger' },
      h('h2', {}, 'Merged into this stranger'),
      h('ul.entries', {}, this.merged.map((one) => h('li', {}, h('div.row', {}, h('span.row-face', {}, face(one.crop, '')),
        h('span.grow', {}, one.label, ' ', h('span.quiet.number', {}, count(one.track_count, 'scene'))),
        h('button', { type: 'button', disabled: this.lacking !== null, title: this.lacking, 'aria-label': `Take ${one.label} apart`, onclick: () => this.takeApart(one) }, 'Take apart'))))));
  }

  tellState() {
    const { out, state, stranger } = this;
    state.textContent = `The name is given to ${count(stranger.tracks.length - out.size, 'scene')}${out.size ? `; ${out.size} left out` : ''}.`;
  }

  /** Whether a key in the field is an answer and no part of a name. */
  press(event) {
    const isEmpty = !this.field.value.trim();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter' && event.shiftKey) this.take(event, () => this.showPreview());
    else if (event.key === 'Enter' && isEmpty) this.take(event, () => this.accept());
    else if (/^[1-3]$/.test(event.key) && isEmpty) this.take(event, () => this.choose(Number(event.key)));
  }

  take(event, run) {
    event.preventDefault();
    event.stopPropagation();
    run();
  }

  accept() {
    if (this.suggested) this.name(this.suggested);
  }

  choose(number) {
    const one = this.choices[number - 1];
    if (one) this.name(one);
  }

  /** Leave what would change, and then the group. */
  leave() {
    if (this.preview?.firstChild) this.leavePreview();
    else go(this.queue);
  }

  leavePreview() {
    this.endPreview();
    this.field.focus();
  }

  endPreview() {
    this.previewing?.abort();
    fill(this.preview);
  }

  /** Return what a name is given to, or null where that is nothing. */
  wanted(one) {
    const { out, stranger } = this;
    if (this.lacking !== null) return null;
    if (out.size === stranger.tracks.length) {
      toast('All are left out: keep those that are this person.', { tone: 'wrong' });
      return null;
    }
    const without = [...out].map((i) => stranger.tracks[i]).map((track) => ({ video_id: track.video_id, track_id: track.track_id }));
    return { body: { person_id: one.person_id, without }, text: `${stranger.label} is ${one.identity}${out.size ? `, without ${count(out.size, 'scene')}` : ''}` };
  }

  async name(one, version = null) {
    const wanted = this.wanted(one);
    if (!wanted) return;
    const { signal } = this.view.inner;
    const answer = await apply(wanted.text, () => post(`${this.address}/name`, wanted.body, { query: { expect: version } }));
    if (answer && !wanted.body.without.length && !signal.aborted) go(link('/strangers', { project: this.where }));
  }

  /** Show what a name would change: the one that is typed, or the suggested one. Enter applies just that. */
  async showPreview() {
    if (this.lacking !== null) return;
    try {
      const one = (await this.field.meant()) ?? this.suggested;
      if (!one) return void toast('Type a name first: nobody is suggested.');
      const wanted = this.wanted(one);
      if (!wanted) return;
      const out = this.out.size;
      const answer = await post(`${this.address}/name`, wanted.body, { query: { preview: true }, signal: this.signal });
      if (out !== this.out.size) return;
      this.endPreview();
      this.previewing = new AbortController();
      this.signal.addEventListener('abort', () => this.previewing.abort());
      showPreview(this.preview, answer, {
        title: wanted.text, notes: notesOf(answer), signal: this.previewing.signal,
        onapply: () => {
          this.endPreview();
          this.name(one, answer.version);
        },
        oncancel: () => this.leavePreview(),
      });
    } catch (error) {
      complain(error);
    }
  }

  hide() {
    const { hidden, label } = this.stranger;
    apply(`${label} is ${hidden ? 'shown again' : 'hidden'}`, () => post(`${this.address}/hide`, undefined, { query: { no_longer: hidden || null } }));
  }

  takeApart(one) {
    apply(`${one.label} is not ${this.stranger.label}`, () => post(at`projects/${this.where}/strangers/${one.stranger}/unmerge`));
  }
}
