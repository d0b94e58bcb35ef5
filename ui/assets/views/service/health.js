/** Whether the service works, what it does now, and who asks. */

import { at, get, isReady } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { may, session } from '../../core/session.js';
import { count, length, percent, size } from '../../core/text.js';
import { isActive, jobRow, Pace, titleOf } from '../../elements/jobs.js';
import { every } from './every.js';

const PERIOD_MS = 2000;
const EVERYWHERE = '*';
const MOST_RUNNING = 100;
// From here on there is little room: the service begins no job when the disk is full.
const LITTLE_ROOM = 0.1;
const ROLES = { read: 'may look at everything', curate: 'may add, name and correct', admin: 'may do everything, also delete' };

export async function healthPart({ place, signal }) {
  const status = h('section.card.stack');
  const running = h('section.card.stack');
  const pace = new Pace();
  const draw = async () => {
    const [health, jobs] = await Promise.all([readHealth(signal), activeJobs(signal)]);
    drawStatus(status, health);
    drawRunning(running, jobs, pace, draw);
  };
  await draw();
  fill(place, h('div.columns', {}, status, whoAmI()), running);
  every(PERIOD_MS, signal, draw);
}

/** What concerns all projects is asked for by who may see all of them; others ask what everybody may. */
async function readHealth(signal) {
  if (may('read', EVERYWHERE)) return get(at`service`, { signal });
  if (!(await isReady())) return { ready: false, missing: ['the service does not answer, or its networks are not loaded yet'] };
  return { ready: true, missing: [], isPart: true, ...(await get('/fr/readyz', { signal })) };
}

async function activeJobs(signal) {
  const [running, queued] = await Promise.all(
    ['running', 'queued'].map((state) => get(at`jobs`, { query: { state, limit: MOST_RUNNING }, signal })),
  );
  return [...running, ...queued.filter((one) => !running.some((other) => other.job_id === one.job_id))].filter(isActive);
}

function drawStatus(place, health) {
  const waiting = health.waiting?.reduce((sum, one) => sum + one.count, 0) ?? health.queued_jobs;
  const oldest = Math.max(0, ...(health.waiting ?? []).map((one) => one.oldest_s));
  fill(place,
    h('div.row', {}, h('h2', {}, 'The service'), h('span.tag', { class: health.ready ? 'done' : 'wrong', role: 'status' }, health.ready ? 'works' : 'not ready')),
    health.missing.length ? h('p.wrong-text', {}, health.missing.join('; ')) : null,
    health.full && h('p.wrong-text', {}, health.full),
    h('dl.fact-list', {},
      fact('Version', health.version),
      fact('Network', health.embedder),
      fact('Running', health.running_jobs === undefined || health.running_jobs === null ? null : count(health.running_jobs, 'job')),
      fact('Waiting', waiting === undefined ? null : waiting ? `${count(waiting, 'job')}${oldest ? `, the oldest for ${length(oldest)}` : ''}` : 'nothing'),
      ...(health.waiting ?? []).map((one) => fact('', `${one.count} × ${titleOf({ kind: one.kind }).toLowerCase()}, up to ${length(one.oldest_s)}`)),
      health.isPart
        ? fact('Disk', h('span.quiet', {}, 'told to keys that may read every project'))
        : fact('Room on the disk', health.disk_size_bytes && diskRoom(health))));
}

function fact(name, value) {
  return value === null || value === undefined ? null : [h('dt', {}, name), h('dd', {}, value)];
}

function diskRoom({ disk_free_bytes: free, disk_size_bytes: all }) {
  const part = free / all;
  return h('span', {},
    h('meter.room', { min: '0', max: '1', low: String(LITTLE_ROOM), optimum: '1', value: String(part), 'aria-label': 'Room on the disk' }), ' ',
    `${size(free)} free of ${size(all)} (${percent(part)})`);
}

function drawRunning(place, jobs, pace, onchange) {
  fill(place, h('h2', {}, 'What is done now'),
    jobs.length
      ? h('ul.jobs', {}, jobs.map((job) => jobRow(job, { pace, onchange, withProject: true })))
      : h('p.quiet', {}, 'Nothing: no job runs, and none waits.'));
}

function whoAmI() {
  const grants = Object.entries(session.grants);
  return h('section.card.stack', {},
    h('h2', {}, 'You'),
    h('p', {}, session.name === 'local' ? 'You work on the service’s own machine, without a key.' : h('span', {}, 'You are signed in as ', h('bdi', {}, h('strong', {}, session.name)), '.')),
    h('dl.fact-list', {}, grants.map(([where, role]) => [h('dt', {}, where === EVERYWHERE ? 'Every project' : h('bdi', {}, where)), h('dd', {}, h('strong', {}, role), h('span.quiet', {}, ` ${ROLES[role] ?? ''}`))])),
    session.name !== 'local' && h('form', { method: 'post', action: '/sign-out' }, h('button', { type: 'submit' }, 'Sign out')));
}
