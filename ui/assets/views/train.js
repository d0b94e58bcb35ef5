/** Model versions: which one names, how good each is, learning again, comparing, promoting, going back, and how sure a name must be. */

import { link, note, params } from '../core/address.js';
import { at, get, post } from '../core/api.js';
import { fill, freshId, h } from '../core/dom.js';
import { apply, edits } from '../core/edits.js';
import { lacks, may, project } from '../core/session.js';
import { count, length, moment } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { empty, loading, View } from '../core/view.js';
import { showPreview } from '../elements/change.js';
import { followJob, isActive, kindOf } from '../elements/jobs.js';
import { CLASSIFIERS, comparison, figuresOf, forgetFigures, plots } from './train/figures.js';
import { knob } from './train/knob.js';

const FIRST = 10;
const MOST_JOBS = 200;

class TrainView extends View {
  connectedCallback() {
    super.connectedCallback();
    this.listen(edits, 'edit', () => this.start());
  }

  async build() {
    const where = project();
    forgetFigures();
    const [models, people, job] = await Promise.all([
      get(at`projects/${where}/models`, { signal: this.signal }),
      get(at`projects/${where}/people`, { signal: this.signal }),
      this.trainingJob(where),
    ]);
    this.models = models.sort((one, other) => other.created_at - one.created_at);
    this.promoted = models.find((one) => one.promoted);
    // What is being decided stays while the rest is drawn anew.
    this.told ??= h('div');
    this.detail = h('div.stack', { 'aria-live': 'polite' });
    const limit = h('div');
    fill(this,
      h('div.head', {}, h('h1', {}, 'Train'), h('p.quiet', {}, this.standing())),
      h('div.columns', {}, this.learnAgain(people, job), limit),
      this.told,
      this.versions(),
      this.detail);
    await Promise.all([
      this.promoted && this.attempt(limit, async () => {
        const { claims } = await figuresOf(this.promoted.version, this.signal);
        fill(limit, knob(claims, this.signal, this.told));
      }),
      this.drawDetail(),
    ]);
  }

  /** The job that trains: the one that the address names, or any that is at work, as another visitor's. */
  async trainingJob(where) {
    const found = await Promise.all(['running', 'queued'].map((state) => get(at`jobs`, { query: { project: where, state, limit: MOST_JOBS }, signal: this.signal })));
    return found.flat().find((one) => kindOf(one) === 'training' && isActive(one)) ?? null;
  }

  standing() {
    if (!this.promoted) return this.models.length ? 'No version names: promote one.' : 'Nothing was trained yet: everybody is a stranger.';
    return [`Version ${this.promoted.version} names ${count(this.promoted.people, 'person', 'people')} since ${moment(this.promoted.created_at)}.`];
  }

  learnAgain(people, job) {
    const allowed = may('curate');
    const taken = people.reduce((sum, one) => sum + one.taken, 0);
    const progress = h('div');
    const classifier = h('select', { id: freshId('how'), disabled: !allowed },
      Object.entries(CLASSIFIERS).map(([value, text]) => h('option', { value, selected: value === (this.promoted?.classifier ?? 'prototype') }, text)));
    const seen = h('input', { type: 'checkbox', id: freshId('seen'), disabled: !allowed, checked: this.promoted?.metrics.training?.use_seen_strangers ?? false });
    const waits = h('input', { type: 'checkbox', id: freshId('waits'), disabled: !allowed });
    const button = h('button.primary', { type: 'submit', disabled: !allowed || !taken || Boolean(job), title: allowed ? (taken ? null : 'Nobody is enrolled: add people first') : lacks('curate') }, 'Train');
    const follow = async (id) => {
      button.disabled = true;
      await this.attempt(progress, () => this.follow(progress, id));
    };
    const form = h('form.stack', {
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          const config = { classifier: classifier.value, use_seen_strangers: seen.checked, promote: waits.checked ? 'no' : 'auto' };
          const { job_id: id } = await post(at`projects/${project()}/training`, config);
          note({ job: id });
          await follow(id);
        } catch (error) {
          complain(error);
        }
      },
    },
    h('div.field', {}, h('label', { for: classifier.id }, 'How it learns'), classifier),
    h('label.row.plain', { for: seen.id }, seen, 'Learn who is a stranger from those seen in the videos, too'),
    h('label.row.plain', { for: waits.id }, waits, 'Let it name only when I promote it'),
    h('div.row', {}, button, !allowed && h('span.quiet.small', {}, lacks('curate'))),
    progress);
    if (job) follow(job.job_id);
    return h('section.card.stack', { 'aria-label': 'Learn again' },
      h('h2', {}, 'Learn again'),
      taken
        ? h('p.quiet', {}, `From ${count(taken, 'picture')} of ${count(people.length, 'person', 'people')}. A version that is worse on your labelled clips does not name by itself.`)
        : h('p.quiet', {}, 'Nobody is enrolled yet: ', h('a', { href: link('/people', { project: project() }) }, 'add people'), '.'),
      form);
  }

  /** Follow a training; a reload comes back to it. */
  async follow(place, id) {
    fill(place, loading('Training…'));
    const job = await followJob(place, id, this.signal);
    note({ job: '' });
    if (job.state === 'succeeded') {
      toast('Trained');
      edits.dispatchEvent(new CustomEvent('edit', { detail: { owner: null } }));
    } else {
      fill(place, h('p.wrong-text', { role: 'alert' }, job.state === 'cancelled' ? 'The training was cancelled; all is as it was.' : `The training failed: ${job.error}`));
      this.querySelector('form button[type=submit]')?.removeAttribute('disabled');
    }
  }

  versions() {
    if (!this.models.length) return empty('No versions yet', 'Train, and each version is listed here with its figures.');
    const list = h('ul.entries.card', {}, this.models.slice(0, FIRST).map((one) => this.versionRow(one)));
    const more = this.models.length > FIRST && h('button', {
      type: 'button', onclick: (event) => (list.append(...this.models.slice(FIRST).map((one) => this.versionRow(one))), event.target.remove()),
    }, `Show ${this.models.length - FIRST} older`);
    const back = h('button', {
      type: 'button', disabled: !may('curate') || !this.promoted, title: may('curate') ? null : lacks('curate'),
      onclick: () => this.preview('Going back to the version before', 'Went back to the version before', at`projects/${project()}/rollback`),
    }, 'Go back to the version before');
    return h('section.stack', { 'aria-label': 'Versions' },
      h('div.row', {}, h('h2', {}, 'Versions'), h('span.row.end', {}, back)), list, more || null);
  }

  versionRow(one) {
    const [version, other] = [params().version, params().against];
    const isOpen = version === one.version || (!version && one.promoted);
    const gate = one.metrics.gate;
    return h('li', {},
      h('div.row', {},
        h('strong.version', {}, one.version), one.promoted && h('span.tag.on', {}, 'names now'),
        h('span.row.end', {},
          h('button', { type: 'button', 'aria-pressed': String(isOpen && !other), 'aria-label': `Figures of ${one.version}`, onclick: () => this.open({ version: one.version, against: '' }) }, 'Figures'),
          !isOpen && h('button', { type: 'button', 'aria-pressed': String(other === one.version), 'aria-label': `Compare with ${one.version}`, onclick: () => this.open({ against: other === one.version ? '' : one.version }) }, 'Compare'),
          !one.promoted && h('button', {
            type: 'button', disabled: !may('curate'), title: may('curate') ? null : lacks('curate'), 'aria-label': `Promote ${one.version}`,
            onclick: () => this.preview(`Letting ${one.version} name`, `Promoted ${one.version}`, at`projects/${project()}/models/${one.version}/promote`),
          }, 'Promote'))),
      h('div.small.quiet', {}, [
        moment(one.created_at), count(one.people, 'person', 'people'), count(one.faces, 'picture'), CLASSIFIERS[one.classifier] ?? one.classifier,
        `trained in ${length(one.metrics.seconds ?? 0)}`, one.metrics.extrapolated_tracks && 'its limit is estimated',
        gate && !gate.promoted && gate.reason && `not promoted: ${gate.reason}`,
      ].filter(Boolean).join(' · ')));
  }

  open(given) {
    note(given);
    fill(this.querySelector('section[aria-label=Versions] ul'), this.models.slice(0, FIRST).map((one) => this.versionRow(one)));
    this.drawDetail().catch(complain);
  }

  /** Draw the figures of the version that is open, and beside another one where one was chosen. */
  async drawDetail() {
    const one = this.models.find((row) => row.version === params().version) ?? this.promoted ?? this.models[0];
    if (!one) return;
    const other = this.models.find((row) => row.version === params().against && row !== one);
    fill(this.detail, loading());
    await this.attempt(this.detail, async () => {
      const figures = await Promise.all([one, other].filter(Boolean).map((row) => figuresOf(row.version, this.signal)));
      fill(this.detail, h('section.stack', { 'aria-label': 'Figures' },
        h('h2', {}, other ? 'Two versions compared' : `Figures of ${one.version}`),
        other ? comparison([one, other], figures) : plots(figures[0]),
        figures[0].measured.learned > 0 && h('p.quiet', {}, `${count(figures[0].measured.learned, 'picture was', 'pictures were')} learned from the labelled clips themselves: these figures flatter it.`)));
    });
  }

  /** Show what another version would change, and apply it at a second decision. */
  async preview(title, done, address) {
    fill(this.told, loading('Working out what that changes…'));
    try {
      const change = await post(address, undefined, { query: { preview: true } });
      showPreview(this.told, change, {
        title, signal: this.signal, oncancel: () => fill(this.told),
        onapply: async () => {
          const waiting = loading('Naming the archive again…');
          fill(this.told, waiting);
          await apply(done, () => post(address, undefined, { query: { expect: change.version } }));
          waiting.remove();
        },
      });
    } catch (error) {
      fill(this.told);
      complain(error);
    }
  }
}

customElements.define('fr-train-view', TrainView);
