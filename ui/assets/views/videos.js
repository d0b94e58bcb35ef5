/** The videos of a project: what is stored, who is in it, what is being done about it, and adding more. */

import { at, get } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { isUnbegun, project, readSession } from '../core/session.js';
import { count } from '../core/text.js';
import { empty, View } from '../core/view.js';
import { isActive, Pace } from '../elements/jobs.js';
import { Adding } from './videos/add.js';
import { Card } from './videos/card.js';
import { Chosen } from './videos/chosen.js';
import { Filters } from './videos/filters.js';
import { Glances } from './videos/glances.js';

const PAGE = 60;
const POLL_MS = 1000;
const IDLE_POLL_MS = 5000;
// Of the jobs of a project the newest are asked for again and again; what is older has ended, or is asked for by its state.
const NEWEST = 100;
const ABOUT_VIDEOS = ['video', 'fetch'];

class VideosView extends View {
  async build() {
    const where = project();
    // A newcomer's project is made with the first video.
    const [videos, jobs] = isUnbegun(where) ? [[], []] : await this.read(where, { isAll: true });
    this.where = where;
    this.cards = new Map();
    this.lengths = new Map();
    this.pace = new Pace();
    this.shown = PAGE;
    this.begun?.abort();
    this.begun = new AbortController();
    this.signal.addEventListener('abort', () => this.begun.abort());
    this.take(videos, jobs);
    this.glances = new Glances(where, this.begun.signal);
    this.filters = new Filters(where, this.begun.signal, () => this.drawList());
    this.adding = new Adding(where, this.begun.signal, () => this.refresh());
    this.chosen = new Chosen(where, () => this.refresh());
    this.list = h('ul.videos');
    this.more = h('div.row');
    this.total = h('p.quiet', { role: 'status' });
    fill(this, h('div.head', {}, h('h1', {}, 'Videos'), this.filters.elements, this.total), this.adding.element, this.chosen.element, this.list, this.more);
    this.drawList();
    if (this.isPolling) return;
    this.isPolling = true;
    this.bind('Videos', [
      { keys: ['x'], does: 'Choose the video with the focus, or not', run: () => this.pickFocused() },
      { keys: ['Escape'], does: 'Choose none', run: () => this.choose(() => this.chosen.clear()) },
    ]);
    this.poll();
  }

  /** Read the videos, and their jobs. */
  read(where, { isAll = false } = {}) {
    const query = isAll ? { project: where } : { project: where, limit: NEWEST, newest_first: true };
    const { signal } = this;
    return Promise.all([get(at`projects/${where}/videos`, { signal }), get(at`jobs`, { query, signal })]);
  }

  take(videos, jobs) {
    this.videos = videos.reverse();
    this.jobOf ??= new Map();
    if (this.jobsOf !== this.where) this.jobOf.clear();
    this.jobsOf = this.where;
    this.takeJobs(jobs);
  }

  /** Keep the latest job of each video. */
  takeJobs(jobs) {
    for (const job of [...jobs].sort((a, b) => a.created_at - b.created_at)) {
      if (!ABOUT_VIDEOS.includes(job.kind)) continue;
      this.jobOf.set(job.video_id ?? job.job_id, job);
      if (job.video_id) this.jobOf.delete(job.job_id);
    }
  }

  get activeJobs() {
    return [...this.jobOf.values()].filter(isActive);
  }

  /** Keep what is shown as it is: jobs each second while something is done, and the list where one has begun or ended. */
  async poll() {
    let calls = 0;
    await this.every(POLL_MS, async () => {
      calls += 1;
      const where = project();
      if ((!this.activeJobs.length && calls % (IDLE_POLL_MS / POLL_MS)) || isUnbegun(where) || where !== this.where) return;
      const jobs = await get(at`jobs`, { query: { project: where, limit: NEWEST, newest_first: true }, signal: this.signal });
      const missed = this.activeJobs.filter((job) => !jobs.some((one) => one.job_id === job.job_id)).slice(0, NEWEST);
      jobs.push(...(await Promise.all(missed.map((job) => get(at`jobs/${job.job_id}`, { signal: this.signal })))));
      if (where !== this.where) return;
      const before = this.states();
      this.takeJobs(jobs);
      if (before !== this.states() || !(calls % 120)) await this.refresh();
      else this.drawList();
    });
  }

  states() {
    return JSON.stringify([...this.jobOf.values()].map((job) => [job.job_id, job.state]));
  }

  async refresh() {
    if (project() !== this.where) return;
    if (isUnbegun(this.where)) await readSession();
    if (isUnbegun(this.where)) return;
    const where = this.where;
    const [videos, jobs] = await this.read(where);
    if (where !== this.where) return;
    this.take(videos, jobs);
    this.drawList();
  }

  /** What the list shows: the videos, and what is fetched and is no video yet. */
  entries() {
    const fetched = [...this.jobOf.values()]
      .filter((job) => !job.video_id && job.state !== 'succeeded')
      .map((job) => ({ job, name: job.about ?? 'A video that is fetched', created_at: job.created_at }));
    const all = [...fetched, ...this.videos.map((video) => ({ ...video, job: this.jobOf.get(video.video_id) }))];
    return all.filter((one) => this.filters.shows(one));
  }

  drawList() {
    const all = this.entries();
    this.total.textContent = [count(all.length, 'video'), this.filters.remark].filter(Boolean).join(', ');
    this.chosen.keep(new Set(this.videos.map((one) => one.video_id)));
    if (!all.length) {
      this.cards.clear();
      const [title, text] = this.filters.isAny ? ['Nothing matches', 'Search for something else, or show all states and lengths.'] : ['No videos yet', 'Choose some above: who is in them is found while you wait.'];
      fill(this.list, h('li', {}, empty(title, text)));
    } else this.drawCards(all.slice(0, this.shown));
    fill(this.more, all.length > this.shown &&
      h('button', { type: 'button', onclick: () => ((this.shown += PAGE), this.drawList()) }, `Show ${Math.min(PAGE, all.length - this.shown)} more`));
  }

  /** Cards stay the elements that they are, and where they are, as long as the order is the same. */
  drawCards(entries) {
    const cards = new Map(entries.map((entry) => {
      const key = entry.video_id ?? entry.job.job_id;
      return [key, this.cards.get(key) ?? this.card(entry)];
    }));
    this.cards = cards;
    const elements = [...cards.values()].map((card) => card.element);
    const children = [...this.list.children];
    if (elements.length !== children.length || elements.some((element, i) => element !== children[i])) this.list.replaceChildren(...elements);
    entries.forEach((entry) => cards.get(entry.video_id ?? entry.job.job_id).show(entry));
    this.markChosen();
  }

  card(entry) {
    return new Card(entry, {
      where: this.where,
      glances: this.glances,
      paceOf: (one) => this.paceOf(one),
      onchange: () => this.refresh(),
      onpick: (card, event) => this.choose(() => this.chosen.pick(card.id, card.mark.checked, event.shiftKey ? [...this.cards.keys()] : null)),
    });
  }

  /** How fast a job goes, and how long it takes still: what is not known yet is null. */
  paceOf({ job, duration_s: seconds }) {
    const left = this.pace.left(job);
    const known = seconds ?? this.lengths.get(job.job_id) ?? null;
    if (known === null && job.kind === 'video' && job.state === 'running') this.readLength(job);
    return { left, rate: left > 0 && known ? ((1 - job.progress) * known) / left : null };
  }

  /** How long a video is that was never analysed, its job knows once it has begun. */
  async readLength(job) {
    this.lengths.set(job.job_id, null);
    try {
      const { video } = await get(at`jobs/${job.job_id}/found`, { signal: this.signal });
      if (video?.duration_s) this.lengths.set(job.job_id, video.duration_s);
      else this.lengths.delete(job.job_id);
    } catch (error) {
      if (error.status === undefined && error.name !== 'AbortError') throw error;
      this.lengths.delete(job.job_id);
    }
  }

  choose(change) {
    change();
    this.markChosen();
  }

  markChosen() {
    for (const card of this.cards.values()) {
      if (!card.id) continue;
      const isChosen = this.chosen.ids.has(card.id);
      card.mark.checked = isChosen;
      card.element.classList.toggle('chosen', isChosen);
    }
    this.list.classList.toggle('choosing', this.chosen.ids.size > 0);
  }

  pickFocused() {
    const focused = this.getRootNode().activeElement;
    const card = [...this.cards.values()].find((one) => one.id && one.element.contains(focused));
    if (card) this.choose(() => this.chosen.pick(card.id, !this.chosen.ids.has(card.id)));
  }
}

customElements.define('fr-videos-view', VideosView);
