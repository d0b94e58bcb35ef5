/** Jobs, as people read them: what each is, how far it is, and how long it takes still. */

import { link } from '../core/address.js';
import { at, get, pause, post } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { lacks, may } from '../core/session.js';
import { length, moment, percent } from '../core/text.js';
import { complain } from '../core/toast.js';

const KINDS = {
  fetch: 'Fetching a video', video: 'Analysing a video', training: 'Training', second_set: 'Preparing another network',
  identify: 'Naming the archive again', crawl: 'Collecting pictures', rendition: 'Making a copy that plays here',
};
const STATES = { queued: 'waiting', running: 'running', succeeded: 'done', failed: 'failed', cancelled: 'cancelled' };
const POLL_MS = 1000;
// Before so much is done, the time left would be a guess.
const LEAST_DONE = 0.02;

/** Whether something will happen to a job still. */
export function isActive(job) {
  return job.state === 'queued' || job.state === 'running';
}

/** What a job does: commands that are recorded have their own id behind their kind. */
export function kindOf(job) {
  return job.kind.split(':')[0];
}

export function titleOf(job) {
  return KINDS[kindOf(job)] ?? job.kind;
}

/** How fast jobs go, from what is seen of them while the page is open. */
export class Pace {
  constructor() {
    this.first = new Map();
  }

  /** Return how long a job takes still, in seconds; null before that can be known. */
  left(job, now = performance.now() / 1000) {
    if (job.state !== 'running') return null;
    const first = this.first.get(job.job_id);
    if (!first || job.progress < first.progress) {
      this.first.set(job.job_id, { progress: job.progress, now });
      return null;
    }
    const done = job.progress - first.progress;
    return done < LEAST_DONE ? null : ((1 - job.progress) * (now - first.now)) / done;
  }
}

/** Where a job stands, in words: "analysing, part 2 of 8". */
export function stageOf(job) {
  if (job.cancel_requested && isActive(job)) return 'ending';
  const state = STATES[job.state];
  const done = job.segments.filter((one) => one.state === 'succeeded').length;
  return job.segments.length > 1 && isActive(job) ? `${state}, ${done} of ${job.segments.length} parts done` : state;
}

/** Draw how far a job is. */
export function progressBar(job) {
  const part = Math.round(100 * job.progress);
  return h('div.progress', {
    role: 'progressbar', 'aria-label': titleOf(job), 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(part),
  }, h('i', { style: { width: `${part}%` } }));
}

/** Draw a job: what it is about, where it stands, and what can be done about it. `onchange` is called after that was done. */
export function jobRow(job, { pace, onchange, withProject = false }) {
  const about = job.video_id
    ? h('a.clip', { href: link('/video', { project: job.project, video: job.video_id }) }, h('bdi', {}, job.about ?? 'its video'))
    : job.about && h('bdi.clip', {}, job.about);
  const left = pace?.left(job) ?? null;
  const tone = { failed: 'wrong', running: 'on', succeeded: 'done' }[job.state] ?? '';
  return h('li.job', {},
    h('div.row', {},
      h('strong', {}, titleOf(job)), about, h('span.row.end.quiet.small', {}, withProject && h('span.tag', {}, job.project), h('span.number', {}, moment(job.created_at)))),
    isActive(job) && progressBar(job),
    h('div.row.small', {},
      h('span.tag', { class: tone }, stageOf(job)),
      isActive(job) && h('span.quiet.number', {}, percent(job.progress)),
      left !== null && h('span.quiet.number', {}, `about ${length(left)} left`),
      job.attempt > 1 && h('span.quiet', {}, `attempt ${job.attempt}`),
      job.state === 'succeeded' && h('span.quiet.number', {}, `took ${length(job.updated_at - job.created_at)}`),
      h('span.row.end', {}, isActive(job) ? act('Cancel', job, 'cancel', onchange) : job.state !== 'succeeded' && act('Retry', job, 'retry', onchange))),
    job.error && h('p.small', { class: job.state === 'failed' ? 'wrong-text' : 'quiet' }, job.error));
}

function act(text, job, action, onchange) {
  const allowed = may('curate', job.project);
  const isEnding = action === 'cancel' && job.cancel_requested;
  return h('button.link', {
    type: 'button', disabled: !allowed || isEnding, title: allowed ? null : lacks('curate'), 'aria-label': `${text}: ${titleOf(job)} ${job.about ?? ''}`.trim(),
    onclick: async (event) => {
      event.target.disabled = true;
      try {
        await post(at`jobs/${job.job_id}/${action}`);
        await onchange();
      } catch (error) {
        event.target.disabled = false;
        complain(error);
      }
    },
  }, text);
}

/** Follow a job, and draw it in `place`, until it has ended; return it then. A service that does not answer is asked again. */
export async function followJob(place, id, signal) {
  const pace = new Pace();
  for (;;) {
    try {
      const job = await get(at`jobs/${id}`, { signal });
      if (!isActive(job)) return job;
      fill(place, h('ul.jobs', {}, jobRow(job, { pace, onchange: async () => {} })));
    } catch (error) {
      if (!error.isAway) throw error;
    }
    await pause(POLL_MS, signal);
  }
}
