/** All jobs, the newest first, some at a time. */

import { note, params } from '../../core/address.js';
import { at, get } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { project } from '../../core/session.js';
import { complain } from '../../core/toast.js';
import { empty } from '../../core/view.js';
import { isActive, jobRow, Pace } from '../../elements/jobs.js';
import { every } from './every.js';

const PAGE = 25;
const POLL_MS = 2000;
const STATES = [['', 'All states'], ['running', 'Running'], ['queued', 'Waiting'], ['failed', 'Failed'], ['cancelled', 'Cancelled'], ['succeeded', 'Done']];

export async function jobsPart({ place, signal }) {
  const pace = new Pace();
  const list = h('ul.jobs.card');
  const more = h('div.row');
  let jobs = [];
  let isAll = false;

  const ask = (after) => {
    const where = params().all ? undefined : project();
    return get(at`jobs`, { query: { project: where, state: params().state, newest_first: true, limit: PAGE, after }, signal });
  };
  const draw = () => {
    fill(list, jobs.length ? jobs.map((job) => jobRow(job, { pace, onchange: again, withProject: Boolean(params().all) })) : h('li', {}, empty('No jobs', 'What is done for this project is listed here.')));
    fill(more, !isAll && h('button', { type: 'button', onclick: () => next().catch(complain) }, 'Show older ones'));
  };
  const next = async () => {
    const part = await ask(jobs.at(-1)?.job_id);
    isAll = part.length < PAGE;
    jobs = [...jobs, ...part];
    draw();
  };
  /** Read the newest ones again; older ones that are shown change no more, unless they are at work. */
  const again = async () => {
    const part = await ask();
    const older = jobs.filter((job) => !part.some((one) => one.job_id === job.job_id) && !isActive(job));
    const active = jobs.filter((job) => !part.some((one) => one.job_id === job.job_id) && isActive(job));
    const read = await Promise.all(active.map((job) => get(at`jobs/${job.job_id}`, { signal })));
    jobs = [...part, ...[...older, ...read].sort((one, other) => other.created_at - one.created_at)];
    draw();
  };
  const begin = async () => {
    jobs = [];
    await next();
  };
  const filter = h('select', { 'aria-label': 'State', onchange: (event) => (note({ state: event.target.value }), begin().catch(complain)) },
    STATES.map(([value, text]) => h('option', { value, selected: (params().state ?? '') === value }, text)));
  const everywhere = h('label.row.plain', {},
    h('input', { type: 'checkbox', checked: Boolean(params().all), onchange: (event) => (note({ all: event.target.checked ? '1' : '' }), begin().catch(complain)) }),
    'of all projects');
  await begin();
  fill(place, h('div.row', {}, h('h2', {}, 'Jobs'), filter, everywhere), list, more);
  every(POLL_MS, signal, () => (jobs.some(isActive) || !jobs.length ? again() : null));
}
