/** How far a job is, told each second until it has ended. */

import { at, get, pause, post } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { lacks, may } from '../core/session.js';
import { percent } from '../core/text.js';
import { complain } from '../core/toast.js';

const POLL_MS = 1000;
const ACTIVE = ['queued', 'running'];

/** Draw a job in `place` until it has ended; returns it then. Ends with `signal`. */
export async function followJob(place, id, title, signal) {
  for (;;) {
    let job = null;
    try {
      job = await get(at`jobs/${id}`, { signal });
    } catch (error) {
      // A service that does not answer is told of above all views.
      if (!error.isAway) throw error;
    }
    if (job) {
      fill(place, ACTIVE.includes(job.state) ? bar(job, title) : null);
      if (!ACTIVE.includes(job.state)) return job;
    }
    await pause(POLL_MS, signal);
  }
}

function bar(job, title) {
  const part = Math.round(100 * job.progress);
  const allowed = may('curate');
  return h('div.row', { role: 'status' },
    h('span', {}, job.state === 'queued' ? `${title}: waiting` : title),
    h('div.progress.grow', { role: 'progressbar', 'aria-label': title, 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(part) },
      h('i', { style: { width: `${part}%` } })),
    h('span.quiet.number', {}, percent(job.progress)),
    h('button.link', {
      type: 'button', disabled: !allowed || job.cancel_requested, title: allowed ? null : lacks('curate'),
      onclick: async (event) => {
        event.target.disabled = true;
        try {
          await post(at`jobs/${job.job_id}/cancel`);
        } catch (error) {
          complain(error);
        }
      },
    }, job.cancel_requested ? 'Ending…' : 'Cancel'));
}
