/** Labelling a clip: each face one after the other, who is it? Every answer is kept at once. */

import { link } from '../../core/address.js';
import { at, get, put, remove } from '../../core/api.js';
import { fill, freshId, h } from '../../core/dom.js';
import { bindKeys } from '../../core/keys.js';
import { personId } from '../../core/people.js';
import { lacks, may, project } from '../../core/session.js';
import { clock, count, length } from '../../core/text.js';
import { complain, toast } from '../../core/toast.js';
import { face } from '../../elements/face.js';
import { nameField } from '../../elements/name_field.js';
import { twice } from '../service/twice.js';

const MOST_KEYS = 9;
const WORDS = { stranger: 'not enrolled', unclear: 'cannot tell' };

/** Draw a clip to label in `view`. */
export async function labelClip(view, videoId, signal) {
  const where = project();
  const [result, truth] = await Promise.all([
    get(at`projects/${where}/videos/${videoId}/result`, { query: { samples: false }, signal }),
    get(at`projects/${where}/videos/${videoId}/truth`, { signal }),
  ]);
  new Clip(view, { where, videoId, result, truth, signal }).begin();
}

class Clip {
  constructor(view, { where, videoId, result, truth, signal }) {
    Object.assign(this, { view, where, videoId, result, truth, signal });
    this.tracks = [...result.tracks].sort((one, other) => one.start_s - other.start_s || one.track_id - other.track_id);
    const crops = result.appearances.flatMap((one) => one.evidence?.crops ?? []).map((one) => one.url);
    this.cropsOf = new Map(this.tracks.map(({ track_id: id }) => [id, crops.filter((url) => url.includes(`/${result.analysis_id}/${id}/`))]));
    // Of another analysis of the clip the numbers of tracks mean others.
    const labels = truth.labels?.analysis_id === result.analysis_id ? truth.labels : null;
    this.isForeign = truth.kept_at !== null && !labels;
    this.answers = new Map((labels?.tracks ?? []).map((one) => [one.track_id, one]));
    this.missed = [...(labels?.missed ?? [])];
    this.index = Math.max(0, this.tracks.findIndex((one) => !this.answers.has(one.track_id)));
    this.saving = Promise.resolve();
  }

  begin() {
    this.card = h('section.card.stack.label-card', { 'aria-label': 'Who is this?' });
    this.list = h('ul.label-list', { 'aria-label': 'All faces of the clip' });
    this.extra = h('section.card.stack', { 'aria-label': 'Seen, but not found' });
    this.state = h('p.quiet', { role: 'status' });
    this.field = nameField('Name', {
      placeholder: 'Type a name, Enter',
      about: () => this.track,
      onname: ({ person_id, about }) => this.answer({ kind: 'person', person_id }, about),
      onleave: () => this.card.querySelector('button')?.focus(),
    });
    const allowed = may('curate');
    fill(this.view,
      h('div.head', {}, h('h1', {}, 'Measure: ', h('bdi', {}, this.result.video.name)), this.state,
        h('span.row.end', {}, h('a.button', { href: link('/measure', { project: this.where }) }, 'Done'), allowed && twice('Remove the labels', 'Remove them all', () => this.clear()))),
      !allowed && h('p.hint', {}, lacks('curate')),
      this.isForeign && h('p.hint', {}, 'Who is in this clip was told elsewhere, or about an older analysis. Your first answer replaces that.'),
      this.tracks.length ? this.card : h('div.state.empty', {}, h('h2', {}, 'No face was found in this clip'), h('p', {}, 'If people are seen, add them below.')),
      this.extra, this.list);
    this.draw();
    if (!allowed) return;
    const choose = (i) => this.known()[i] && this.answer({ kind: 'person', person_id: this.known()[i] });
    bindKeys('Who is in the clip', [
      ...Array.from({ length: MOST_KEYS }, (_, i) => ({ keys: [String(i + 1)], does: `Answer ${i + 1} of those shown`, run: () => choose(i) })),
      { keys: ['s'], does: 'A stranger: not enrolled', run: () => this.answer({ kind: 'stranger' }) },
      { keys: ['u'], does: 'Nobody can tell', run: () => this.answer({ kind: 'unclear' }) },
      { keys: ['n'], does: 'Type a name', run: () => this.field.focus() },
      { keys: ['ArrowRight', 'j'], does: 'Next face', run: () => this.move(1) },
      { keys: ['ArrowLeft', 'k', 'Backspace'], does: 'Face before', run: () => this.move(-1) },
    ], this.signal);
  }

  get track() {
    return this.tracks[this.index];
  }

  /** Those who were named in this clip, the most often named first: they come again. */
  known() {
    const times = new Map();
    for (const one of this.answers.values()) if (one.person_id) times.set(one.person_id, (times.get(one.person_id) ?? 0) + 1);
    return [...times].sort(([, one], [, other]) => other - one).map(([who]) => who).slice(0, MOST_KEYS);
  }

  move(step) {
    this.index = Math.min(this.tracks.length - 1, Math.max(0, this.index + step));
    this.draw();
  }

  async answer(given, track = this.track) {
    if (!track || !may('curate')) return;
    const id = track.track_id;
    const before = this.answers.get(id);
    this.answers.set(id, { track_id: id, ...given });
    const at = this.tracks.indexOf(track);
    if (track === this.track) {
      const next = this.tracks.findIndex((one, i) => i > at && !this.answers.has(one.track_id));
      this.index = next < 0 ? Math.min(at + 1, this.tracks.length - 1) : next;
    }
    this.draw();
    if (!(await this.save())) {
      if (before) this.answers.set(id, before);
      else this.answers.delete(id);
      this.index = at;
      this.draw();
    }
  }

  /** Keep all answers: one request at a time, and one that waits for it has all that was answered meanwhile. Says whether they are kept. */
  save() {
    this.waiting ??= this.saving.then(async () => {
      this.waiting = null;
      const body = { analysis_id: this.result.analysis_id, tracks: [...this.answers.values()], missed: this.missed };
      const address = at`projects/${this.where}/videos/${this.videoId}/truth`;
      try {
        await (body.tracks.length || body.missed.length ? put(address, body) : remove(address));
        return true;
      } catch (error) {
        complain(error);
        return false;
      } finally {
        this.unsaved = this.waiting !== null;
        this.drawState();
      }
    });
    this.saving = this.waiting;
    this.unsaved = true;
    this.drawState();
    return this.waiting;
  }

  async clear() {
    await remove(at`projects/${this.where}/videos/${this.videoId}/truth`);
    this.answers.clear();
    this.missed = [];
    this.index = 0;
    this.draw();
    toast('The labels of this clip are removed');
  }

  drawState() {
    const done = this.tracks.filter((one) => this.answers.has(one.track_id)).length;
    const all = count(this.tracks.length, 'face');
    fill(this.state, done < this.tracks.length ? `${done} of ${all} answered` : `All ${all} answered`, this.unsaved ? ', keeping…' : this.answers.size ? ', kept' : '');
  }

  draw() {
    this.drawState();
    if (this.track) this.drawCard();
    this.drawMissed();
    fill(this.list, this.tracks.map((one, i) => h('li', {}, h('button.pick-face', {
      type: 'button', 'aria-current': i === this.index ? 'true' : null, 'aria-label': `Face at ${clock(one.start_s)}: ${this.told(one)}`,
      onclick: () => ((this.index = i), this.draw(), this.card.scrollIntoView({ block: 'nearest' })),
    }, face(this.cropOf(one)), h('span.small.clip', {}, this.told(one))))));
  }

  /** What was answered of a track, in words. */
  told({ track_id: id }) {
    const one = this.answers.get(id);
    return one ? (one.person_id?.replaceAll('_', ' ') ?? WORDS[one.kind]) : '?';
  }

  cropOf({ track_id: id }) {
    return this.cropsOf.get(id)[0] ?? null;
  }

  drawCard() {
    const { track } = this;
    const allowed = may('curate');
    const answer = this.answers.get(track.track_id);
    const button = (text, key, given, isOn) => h('button', { type: 'button', disabled: !allowed, 'aria-pressed': String(isOn), onclick: () => this.answer(given) }, h('bdi', {}, text), ' ', h('kbd', {}, key));
    const crops = this.cropsOf.get(track.track_id);
    fill(this.card,
      h('div.row', {}, h('h2', {}, 'Who is this?'), h('span.quiet.number', {}, `${this.index + 1} of ${this.tracks.length}`),
        h('span.row.end', {}, h('a', { href: link('/video', { project: this.where, video: this.videoId, t: track.start_s.toFixed(2), track: track.track_id }), target: '_blank', rel: 'noopener' }, `See the scene at ${clock(track.start_s)}`), h('span.quiet.small', {}, length(track.end_s - track.start_s)))),
      h('div.label-crops', {}, crops.length ? crops.map((url, i) => face(url, `The face, picture ${i + 1}`)) : h('p.quiet', {}, 'No picture is kept: see the scene.')),
      allowed ? this.field : null,
      h('div.row', {},
        this.known().map((who, i) => button(who.replaceAll('_', ' '), String(i + 1), { kind: 'person', person_id: who }, answer?.person_id === who)),
        button('A stranger, not enrolled', 'S', { kind: 'stranger' }, answer?.kind === 'stranger'),
        button('Cannot tell', 'U', { kind: 'unclear' }, answer?.kind === 'unclear')),
      h('div.row', {}, h('button', { type: 'button', disabled: this.index === 0, onclick: () => this.move(-1) }, 'Before ', h('kbd', {}, '←')),
        h('button', { type: 'button', disabled: this.index === this.tracks.length - 1, onclick: () => this.move(1) }, 'Next ', h('kbd', {}, '→')),
        h('span.quiet.small', {}, 'The machine’s own answer is not shown, so that it does not lead you.')));
  }

  drawMissed() {
    const allowed = may('curate');
    const part = (label) => h('input.days', { id: freshId('time'), placeholder: '0:00', 'aria-label': label, disabled: !allowed, autocomplete: 'off' });
    const [from, to] = [part('Seen from'), part('Seen until')];
    // What stands in the field is the name, whether it was chosen or typed.
    let chosen = null;
    const who = allowed
      ? nameField('Who is seen', { placeholder: 'Name', onname: (one) => {
          chosen = one;
          who.value = one.identity;
          from.focus();
        } })
      : h('input', { 'aria-label': 'Who is seen', placeholder: 'Name', disabled: true });
    fill(this.extra,
      h('h3', {}, 'A person is seen whose face was not found?'),
      this.missed.length > 0 && h('ul.entries', {}, this.missed.map((one, i) => h('li', {}, h('div.row', {},
        h('bdi', {}, one.person_id.replaceAll('_', ' ')), h('span.quiet.number', {}, `${clock(one.start_s)} to ${clock(one.end_s)}`),
        allowed && h('button.link', { type: 'button', 'aria-label': `Remove ${one.person_id} at ${clock(one.start_s)}`, onclick: () => this.change(this.missed.filter((_, k) => k !== i)) }, 'Remove'))))),
      h('form.row', {
        onsubmit: (event) => {
          event.preventDefault();
          const [start, end] = [seconds(from.value), seconds(to.value)];
          if (!who.value.trim() || !(end > start)) toast('Give a name, and from when to when, as 1:05', { tone: 'wrong' });
          else this.change([...this.missed, { person_id: chosen?.identity === who.value ? chosen.person_id : personId(who.value), start_s: start, end_s: end }]);
        },
      }, who, from, h('span.quiet', {}, 'to'), to, h('button', { type: 'submit', disabled: !allowed, title: allowed ? null : lacks('curate') }, 'Add')));
  }

  async change(missed) {
    const before = this.missed;
    this.missed = missed;
    this.draw();
    if (!(await this.save())) {
      this.missed = before;
      this.draw();
    }
  }
}

/** "1:05.5" → 65.5; NaN where that is no time. */
function seconds(text) {
  return text.trim() ? text.trim().split(':').reduce((sum, one) => 60 * sum + Number(one), 0) : NaN;
}
