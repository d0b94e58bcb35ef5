/** The videos of a project: what is stored, what is being done about it, and adding more. */

import { link, note, params } from '../core/address.js';
import { at, get, post, upload } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { isUnbegun, lacks, may, project, readSession } from '../core/session.js';
import { clock, count, folded, length, moment, percent, size } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { empty, View } from '../core/view.js';

const PAGE = 60;
const POLL_MS = 1000;
const IDLE_POLL_MS = 5000;
const ACTIVE = ['queued', 'running'];
const STATES = { queued: 'waiting', running: 'analysing', failed: 'failed', cancelled: 'cancelled' };

class VideosView extends View {
  async build() {
    const where = project();
    // A newcomer's project is made with the first video.
    const [videos, jobs] = isUnbegun(where) ? [[], new Map()] : await Promise.all([get(at`projects/${where}/videos`, { signal: this.signal }), this.jobs(where)]);
    this.where = where;
    this.videos = videos.reverse();
    this.jobOf = jobs;
    this.sending = this.sending ?? new Map();
    this.shown = PAGE;
    this.search = h('input', {
      type: 'search', placeholder: 'Search titles', 'aria-label': 'Search titles', value: params().q ?? '',
      oninput: () => (note({ q: this.search.value }), this.drawList()),
    });
    this.state = h(
      'select',
      { 'aria-label': 'State', onchange: () => (note({ state: this.state.value }), this.drawList()) },
      [['', 'All'], ['analysed', 'Analysed'], ['active', 'Being analysed'], ['failed', 'Failed']].map(([value, text]) =>
        h('option', { value, selected: (params().state ?? '') === value }, text)),
    );
    this.list = h('ul.videos');
    this.more = h('div.row');
    this.uploads = h('div.stack');
    this.total = h('p.quiet', { role: 'status' });
    const onlyReads = !may('curate');
    this.files = h('input', { type: 'file', accept: 'video/*,.mkv,.ts,.mpg,.gif', multiple: true, hidden: true, onchange: () => this.send([...this.files.files]) });
    this.address = h('input', { type: 'text', placeholder: 'https://…, a file of the server, or a catalogue URI', 'aria-label': 'Address of a video' });
    const byAddress = h(
      'form.row',
      { onsubmit: (event) => (event.preventDefault(), this.submitAddresses()) },
      h('div.grow', {}, this.address),
      h('button', { type: 'submit', disabled: onlyReads, title: onlyReads ? lacks('curate') : null }, 'Add'),
    );
    this.drop = h(
      'section.drop.stack',
      { 'aria-label': 'Add videos' },
      h('div.row.centre', {},
        h('button.primary', { type: 'button', disabled: onlyReads, title: onlyReads ? lacks('curate') : null, onclick: () => this.files.click() }, 'Choose videos'),
        h('span.quiet', {}, 'or drop them here')),
      byAddress,
      this.files,
      this.uploads,
    );
    if (!onlyReads) this.takeDrops();
    fill(this, h('div.head', {}, h('h1', {}, 'Videos'), this.search, this.state, this.total), this.drop, this.list, this.more);
    this.drawList();
    if (!this.isPolling) {
      this.isPolling = true;
      this.poll();
    }
  }

  async jobs(where) {
    const jobs = await get(at`jobs`, { query: { project: where }, signal: this.signal });
    const latest = new Map();
    for (const job of jobs) if (['video', 'fetch'].includes(job.kind)) latest.set(job.video_id ?? job.job_id, job);
    return latest;
  }

  /** Keep what is shown as it is: each second while something is done, less often otherwise. */
  async poll() {
    let calls = 0;
    await this.every(POLL_MS, async () => {
      calls += 1;
      const isActive = [...this.jobOf.values()].some((job) => ACTIVE.includes(job.state));
      if (!isActive && calls % (IDLE_POLL_MS / POLL_MS)) return;
      const where = project();
      if (isUnbegun(where)) return;
      const [videos, jobs] = await Promise.all([get(at`projects/${where}/videos`, { signal: this.signal }), this.jobs(where)]);
      if (where !== this.where) return;
      this.videos = videos.reverse();
      this.jobOf = jobs;
      this.drawList();
    });
  }

  takeDrops() {
    const over = (is) => (event) => (event.preventDefault(), this.drop.classList.toggle('over', is));
    this.drop.addEventListener('dragover', over(true));
    this.drop.addEventListener('dragleave', over(false));
    this.drop.addEventListener('drop', (event) => {
      over(false)(event);
      this.send([...event.dataTransfer.files]);
    });
  }

  /** Send files one after another: each is as fast alone, and the first is analysed while the next comes. */
  async send(files) {
    const where = project();
    this.files.value = '';
    const rows = files.map((file) => {
      const bar = h('i', { style: { width: '0' } });
      const state = h('span.quiet.number', {}, 'waiting');
      const row = h('div.row', {}, h('bdi.clip.grow', {}, file.name), h('span.quiet.number', {}, size(file.size)), h('div.progress.grow', {}, bar), state);
      this.uploads.append(row);
      return { file, row, bar, state };
    });
    for (const { file, row, bar, state } of rows) {
      const form = new FormData();
      form.append('file', file);
      try {
        await upload(at`projects/${where}/videos`, form, {
          signal: this.signal,
          onProgress: (part) => {
            bar.style.width = percent(part).replace(' ', '');
            state.textContent = part < 1 ? percent(part) : 'being checked';
          },
        });
        row.remove();
      } catch (error) {
        if (error.name === 'AbortError') return;
        fill(state, error.message);
        state.classList.add('wrong');
      }
      await this.refresh();
    }
  }

  async submitAddresses() {
    const where = project();
    const given = this.address.value.split(/\s+/).filter(Boolean);
    for (const uri of given) {
      try {
        await post(at`projects/${where}/videos`, { uri });
        toast(`Added ${uri}`);
        this.address.value = '';
      } catch (error) {
        complain(error);
      }
    }
    await this.refresh();
  }

  async refresh() {
    if (project() !== this.where) return;
    if (isUnbegun(this.where)) await readSession();
    if (isUnbegun(this.where)) return;
    const [videos, jobs] = await Promise.all([get(at`projects/${this.where}/videos`), this.jobs(this.where)]);
    this.videos = videos.reverse();
    this.jobOf = jobs;
    this.drawList();
  }

  /** What the list shows: the videos, and what is fetched and is no video yet. */
  entries() {
    const fetched = [...this.jobOf.values()]
      .filter((job) => !job.video_id && job.state !== 'succeeded')
      .map((job) => ({ job, name: 'A video that is fetched', created_at: job.created_at }));
    const all = [...fetched, ...this.videos.map((video) => ({ ...video, job: this.jobOf.get(video.video_id) }))];
    const [wanted, state] = [folded(this.search.value), this.state.value];
    return all.filter((one) => {
      const isActive = ACTIVE.includes(one.job?.state);
      const states = { '': true, analysed: one.analysed && !isActive, active: isActive, failed: one.job?.state === 'failed' };
      return states[state] && folded(`${one.name} ${one.catalogue?.titles?.join(' ') ?? ''}`).includes(wanted);
    });
  }

  drawList() {
    const all = this.entries();
    this.total.textContent = count(all.length, 'video');
    if (!this.videos.length && !all.length) {
      fill(this.list, h('li', {}, empty('No videos yet', 'Choose some above: who is in them is found while you wait.')));
    } else if (!all.length) {
      fill(this.list, h('li', {}, empty('Nothing matches', 'Search for something else, or show all states.')));
    } else {
      fill(this.list, all.slice(0, this.shown).map((one) => this.card(one)));
    }
    fill(
      this.more,
      all.length > this.shown &&
        h('button', { type: 'button', onclick: () => ((this.shown += PAGE), this.drawList()) }, `Show ${Math.min(PAGE, all.length - this.shown)} more`),
    );
  }

  card({ video_id, name, created_at, duration_s, analysed, file_there, job }) {
    const isActive = ACTIVE.includes(job?.state);
    const title = video_id
      ? h('a.clip', { href: link('/video', { project: this.where, video: video_id }) }, h('bdi', {}, name))
      : h('span.clip', {}, name);
    const state = isActive
      ? h('div.stack', {},
          h('div.progress', { role: 'progressbar', 'aria-label': STATES[job.state], 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(Math.round(100 * job.progress)) },
            h('i', { style: { width: `${100 * job.progress}%` } })),
          h('div.row.small', {}, h('span.quiet', {}, `${STATES[job.state]} · ${percent(job.progress)}`), this.button('Cancel', job, 'cancel')))
      : h('div.row.small', {},
          analysed ? null : h('span.tag', {}, 'not analysed'),
          file_there === false && h('span.tag.warn', {}, 'file is gone'),
          job && STATES[job.state] && h('span.tag.wrong', { title: job.error ?? '' }, STATES[job.state]),
          job?.state === 'failed' && h('span.quiet.grow', {}, job.error),
          ['failed', 'cancelled'].includes(job?.state) && this.button('Retry', job, 'retry'));
    return h('li.card.stack', {}, title,
      h('div.row.small.quiet', {}, duration_s !== undefined && h('span.number', { title: clock(duration_s, 2) }, length(duration_s)), h('span', {}, moment(created_at))),
      state);
  }

  button(text, job, action) {
    const allowed = may('curate');
    return h('button.link', {
      type: 'button', disabled: !allowed, title: allowed ? null : lacks('curate'),
      onclick: async () => {
        try {
          await post(at`jobs/${job.job_id}/${action}`);
          await this.refresh();
        } catch (error) {
          complain(error);
        }
      },
    }, text);
  }
}

customElements.define('fr-videos-view', VideosView);
