/** A video as a card: a picture, who is in it, how long it is, and what is being done about it. */

import { link } from '../../core/address.js';
import { at, post, remove, served } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { clock, count, length, moment, percent } from '../../core/text.js';
import { complain, toast } from '../../core/toast.js';
import { face } from '../../elements/face.js';
import { isActive, stageOf, titleOf } from '../../elements/jobs.js';
import { twice } from '../service/twice.js';

const ENDED = { failed: 'failed', cancelled: 'cancelled' };

/**
 * Keeps its element while what it shows changes: the focus, and a press that is to be repeated, stay where they are.
 *
 * @typedef {{video_id?: string, name: string, created_at: number, duration_s?: number, analysed?: boolean, file_there?: boolean,
 *   job?: object}} Entry
 */
export class Card {
  /**
   * @param {object} how
   * @param {string} how.where The project.
   * @param {import('./glances.js').Glances} how.glances
   * @param {(card: Card, event: Event) => void} how.onpick
   * @param {() => Promise<void>} how.onchange Something was done about a video.
   * @param {(entry: Entry) => {rate: number|null, left: number|null}} how.paceOf
   */
  constructor(entry, how) {
    Object.assign(this, how);
    this.entry = entry;
    this.drawn = '';
    const { video_id: id, name } = entry;
    const href = id && link('/video', { project: this.where, video: id });
    this.still = h('div.video-still');
    this.people = h('div.video-people');
    this.facts = h('div.row.small.quiet');
    this.state = h('div.video-state');
    this.mark = id && h('input', { type: 'checkbox', 'aria-label': `Choose ${name}`, onclick: (event) => this.onpick(this, event) });
    this.actions = h('div.row.end');
    this.element = h('li.card.video-card', {},
      href ? h('a.video-picture', { href, tabindex: '-1', 'aria-hidden': 'true' }, this.still) : h('div.video-picture', {}, this.still),
      this.mark && h('label.video-mark', {}, this.mark),
      h('div.video-body', {},
        href ? h('a.clip.strong', { href, title: name }, h('bdi', {}, name)) : h('span.clip.strong', { title: name }, h('bdi', {}, name)),
        this.people,
        this.state,
        h('div.row.small.tight-row', {}, this.facts, this.actions)));
    if (id) fill(this.actions, this.deletion());
  }

  get id() {
    return this.entry.video_id;
  }

  /** Show what is known now. */
  show(entry) {
    this.entry = entry;
    const { job, analysed, duration_s: seconds, created_at: at, file_there: isThere } = entry;
    const pace = job && isActive(job) ? this.paceOf(entry) : null;
    const drawn = JSON.stringify([job?.job_id, job?.state, job?.progress, job?.error, job?.cancel_requested, analysed, seconds, isThere, pace && length(pace.left ?? 0), pace?.rate?.toFixed(1)]);
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      fill(this.facts, seconds != null && h('span.number', { title: clock(seconds, 2) }, length(seconds)), h('span.clip', {}, moment(at)));
      this.drawState(pace);
    }
    if (!this.id) return;
    const state = `${analysed}|${job?.state === 'succeeded' ? job.job_id : ''}`;
    if (state === this.watched) return;
    this.watched = state;
    this.glances.watch(this.element, this.id, state, (glance) => this.glance(glance));
  }

  drawState(pace) {
    const { job, analysed, file_there: isThere } = this.entry;
    if (job && isActive(job)) {
      const rate = pace.rate === null ? null : `${pace.rate < 10 ? pace.rate.toFixed(1) : Math.round(pace.rate)} × real time`;
      const left = pace.left === null ? null : `about ${length(pace.left)} left`;
      fill(this.state,
        h('div.progress', { role: 'progressbar', 'aria-label': `${titleOf(job)}: ${this.entry.name}`, 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(Math.round(100 * job.progress)) },
          h('i', { style: { width: `${100 * job.progress}%` } })),
        h('div.row.small', {}, h('span.tag.on', {}, job.state === 'queued' ? 'waiting for its turn' : `${job.kind === 'fetch' ? 'being fetched' : stageOf(job).replace('running', 'analysing')}`),
          h('span.quiet.number', {}, percent(job.progress)), this.act('Cancel', 'cancel', job.cancel_requested)),
        (rate || left) && h('div.small.quiet.number', {}, [rate, left].filter(Boolean).join(' · ')));
      return;
    }
    const ended = job && ENDED[job.state];
    fill(this.state,
      (ended || !analysed || isThere === false) && h('div.row.small', {},
        ended ? h('span.tag.wrong', {}, ended) : !analysed && h('span.tag', {}, 'not analysed'),
        isThere === false && h('span.tag.warn', {}, 'file is gone'),
        ended && this.act('Retry', 'retry')),
      job?.state === 'failed' && h('p.small.why', { title: job.error ?? '' }, job.error));
  }

  /** Show a picture of the video, and who is in it. */
  glance({ still, people, total }) {
    const source = this.entry.file_there === false ? people[0]?.crop : still;
    if (source !== this.shownStill) {
      this.shownStill = source;
      // A file that is gone, or that nobody can read, has the face that is seen most in its place.
      const instead = () => fill(this.still, people[0]?.crop && h('span.video-face', {}, face(people[0].crop)));
      if (source === still) fill(this.still, h('img', { src: served(still), alt: '', loading: 'lazy', decoding: 'async', draggable: 'false', onerror: instead }));
      else instead();
    }
    const rest = total - people.length;
    fill(this.people,
      people.map((one) => h('span.who', { title: `${one.label}, in view for ${length(one.seconds)}` }, face(one.crop), h('bdi.clip', {}, one.label))),
      rest > 0 && h('span.quiet.small', { title: `${count(rest, 'other')} in it` }, `+${rest}`),
      !total && this.entry.analysed && h('span.quiet.small', {}, 'No face was found'));
  }

  act(text, action, isEnding = false) {
    const allowed = may('curate');
    return h('button.link', {
      type: 'button', disabled: !allowed || isEnding, title: allowed ? null : lacks('curate'), 'aria-label': `${text}: ${this.entry.name}`,
      onclick: async () => {
        try {
          await post(at`jobs/${this.entry.job.job_id}/${action}`);
          await this.onchange();
        } catch (error) {
          complain(error);
        }
      },
    }, isEnding ? 'ending' : text);
  }

  deletion() {
    const allowed = may('admin', this.where);
    const given = allowed ? { 'aria-label': `Delete ${this.entry.name}` } : { disabled: true, title: lacks('admin') };
    const button = twice('Delete', 'Delete for good', async () => {
      const receipt = await remove(at`projects/${this.where}/videos/${this.id}`);
      toast(deleted([receipt]));
      await this.onchange();
    }, given);
    button.classList.add('link', 'small');
    return button;
  }
}

/** What deleting videos has removed, and what stays, as people read it. */
export function deleted(receipts) {
  const sum = (name) => receipts.reduce((total, one) => total + Number(one[name]), 0);
  const what = receipts.length === 1 ? receipts[0].name : count(receipts.length, 'video');
  const gone = [
    sum('analyses') && count(sum('analyses'), 'analysis', 'analyses'),
    sum('crops') && count(sum('crops'), 'picture of a face', 'pictures of faces'),
    sum('upload_removed') && (receipts.length === 1 ? 'the file that was sent' : count(sum('upload_removed'), 'file that was sent', 'files that were sent')),
  ].filter(Boolean);
  const kept = [
    sum('faces_kept') && count(sum('faces_kept'), 'picture of a person', 'pictures of people'),
    sum('corrections_kept') && count(sum('corrections_kept'), 'correction'),
  ].filter(Boolean);
  return `Deleted ${what}${gone.length ? `, with ${gone.join(', ')}` : ''}.${kept.length ? ` ${kept.join(' and ')} from there ${kept.length === 1 && sum('faces_kept') + sum('corrections_kept') === 1 ? 'stays' : 'stay'}.` : ''}`;
}
