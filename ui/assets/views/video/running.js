/** A video whose job is at work: how far it is, and what was found so far, none of which is final. */

import { at, get, post } from '../../core/api.js';
import { coloursOf } from '../../core/colours.js';
import { fill, h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { clock, count, length, percent } from '../../core/text.js';
import { complain } from '../../core/toast.js';
import { Tracks } from '../../core/tracks.js';
import { face } from '../../elements/face.js';
import { isActive, Pace, stageOf } from '../../elements/jobs.js';

const POLL_MS = 1000;
// Of so many readings of the job one reads what was found, too.
const FOUND_EACH = 2;
const OPEN = 'open';

/** Follows a job for the view of its video, and shows what it has found in the view's player, lanes and list. */
export class Running {
  constructor(view, job) {
    Object.assign(this, { view, job });
    this.pace = new Pace();
    this.parts = new Map();
    this.boxes = [];
    this.all = [];
    this.video = null;
    this.rowOf = view.rows.make;
  }

  /** Follow the job to its end; a page that is loaded again comes back to it. */
  async follow() {
    const { view } = this;
    this.draw();
    let calls = 0;
    await view.every(POLL_MS, async () => {
      this.job = await get(at`jobs/${this.job.job_id}`, { signal: view.signal });
      if (isActive(this.job)) {
        this.draw();
        calls += 1;
        if (!(calls % FOUND_EACH)) await this.read();
        return true;
      }
      await view.hasEnded(this.job);
      return false;
    });
  }

  /** Show how far the job is. */
  draw() {
    const { view, job } = this;
    const left = this.pace.left(job);
    const rate = left > 0 && this.video?.duration_s ? ((1 - job.progress) * this.video.duration_s) / left : null;
    const allowed = may('curate') && !job.cancel_requested;
    view.showWork(
      h('div.row', {},
        h('strong', {}, job.state === 'queued' ? 'Waiting for its turn' : 'Searching for faces'),
        h('span.quiet.number.grow', {}, job.segments.length > 1 ? stageOf(job).replace(/^running, /, '') : ''),
        h('span.number', {}, percent(job.progress)),
        rate !== null && h('span.quiet.number', {}, `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} × real time`),
        left !== null && h('span.quiet.number', {}, `about ${length(left)} left`),
        h('button', { type: 'button', disabled: !allowed, title: may('curate') ? null : lacks('curate'), onclick: () => post(at`jobs/${job.job_id}/cancel`).catch(complain) }, job.cancel_requested ? 'Ending' : 'Cancel')),
      h('div.progress', { role: 'progressbar', 'aria-label': 'Analysis', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(Math.round(100 * job.progress)) }, h('i', { style: { width: `${100 * job.progress}%` } })),
      view.result && h('p.quiet.small', {}, 'Until then this shows what an analysis before has found.'));
  }

  /** Read what was found since the last time. */
  async read() {
    const { view } = this;
    // What is known for certain is not covered by what is not.
    if (view.result) return;
    const address = at`jobs/${this.job.job_id}/found`;
    const { video, parts } = await get(address, { signal: view.signal });
    if (video && !this.video) this.begin(video);
    const fresh = parts.filter((one) => this.parts.get(one.part)?.until_s !== one.until_s);
    if (!fresh.length || !this.video) return;
    const found = await Promise.all(fresh.map((one) => get(`${address}/${encodeURIComponent(one.part)}`, { signal: view.signal })));
    // The job has ended meanwhile, or begun anew: what it tells next is right.
    if (view.result || found.includes(null)) return;
    fresh.forEach((one, i) => this.take(one, found[i]));
    this.show();
  }

  begin(video) {
    const { view } = this;
    this.video = video;
    view.seen = video;
    view.rows.make = (one) => this.row(one);
    view.playback.fit();
  }

  take(part, tracks) {
    this.parts.set(part.part, part);
    for (const one of tracks) {
      const id = this.boxes.length + 1;
      this.boxes.push({ track_id: id, times_s: one.times_s, boxes_xyxy: one.boxes_xyxy, start_s: one.start_s, end_s: one.end_s });
      this.all.push({
        track_ids: [id], start_s: one.start_s, end_s: one.end_s, person_id: one.person_id, stranger: null,
        decision: one.person_id ? 'named' : 'undecidable', label: one.person_id ? `${one.identity}?` : 'Not named yet', picture: one.picture,
      });
    }
  }

  /** Show what is known now, in the place of a result. */
  show() {
    const { view } = this;
    this.all.sort((one, other) => one.start_s - other.start_s);
    view.all = this.all;
    view.ofTrack = new Map(this.all.flatMap((one) => one.track_ids.map((id) => [id, one])));
    view.colours = coloursOf(this.all.map((one) => one.person_id));
    view.player.tracks = new Tracks(this.boxes, this.boxes);
    this.drawPeople();
  }

  drawPeople() {
    const { view } = this;
    const lanes = new Map();
    for (const one of this.all) {
      const key = one.person_id ?? OPEN;
      if (!lanes.has(key)) lanes.set(key, { key, label: one.label, colour: view.colourOf(one), isShown: !this.isOff(key), screenS: 0, appearances: [] });
      lanes.get(key).appearances.push(one);
      lanes.get(key).screenS += one.end_s - one.start_s;
    }
    view.lanes.lanes = [...lanes.values()].sort((a, b) => (a.key === OPEN) - (b.key === OPEN) || b.screenS - a.screenS);
    view.lanes.end = this.video.duration_s ?? Math.max(...[...this.parts.values()].map((one) => one.until_s));
    view.lanes.cuts = [];
    view.lanes.draw();
    view.rows.items = this.all.filter((one) => !this.isOff(one.person_id ?? OPEN));
    view.player.again();
    const open = this.all.filter((one) => !one.person_id).length;
    fill(view.summary,
      h('strong', {}, `Found so far, ${this.reach()}: `),
      `${count(new Set(this.all.map((one) => one.person_id)).size - (open > 0), 'person', 'people')}${open ? `, and ${count(open, 'face')} without a name yet` : ''}. `,
      'None of this is final: a name with “?” may change, and whoever is still in view is added when they leave.');
  }

  isOff(key) {
    return this.view.switchedOff.has(key === OPEN ? 'undecidable' : key);
  }

  /** Which parts of the video were searched: "up to 3:20", or from when to when. */
  reach() {
    const joined = [];
    for (const { start_s: start, until_s: until } of [...this.parts.values()].sort((a, b) => a.start_s - b.start_s)) {
      const last = joined.at(-1);
      if (last && start <= last[1] + 0.05) last[1] = Math.max(last[1], until);
      else joined.push([start, until]);
    }
    if (joined.length === 1 && joined[0][0] < 0.05) return `up to ${clock(joined[0][1])}`;
    return joined.map(([start, until]) => `${clock(start)} – ${clock(until)}`).join(', ');
  }

  row(one) {
    const picture = one.picture ? h('img.face', { src: one.picture, alt: '', decoding: 'async', draggable: 'false' }) : face(null);
    return [
      h('span.dot', { style: { background: this.view.colourOf(one) } }),
      h('div.row-face', {}, picture),
      h('div.grow', {},
        h('div.clip', {}, h('bdi', {}, one.label), h('span.quiet.small', {}, ' · not final')),
        h('div.quiet.small.clip', {}, `${clock(one.start_s, 1)} – ${clock(one.end_s, 1)}`)),
    ];
  }

  /** A result is there: rows are made as ever, and nothing stays chosen that it does not have. */
  end() {
    const { view } = this;
    view.rows.make = this.rowOf;
    if (this.all.length) view.chosen = null;
  }
}
