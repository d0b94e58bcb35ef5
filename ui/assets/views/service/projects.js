/** Projects: which there are, making and deleting them, and what the present one keeps for how long. */

import { go, link } from '../../core/address.js';
import { at, get, post, put, remove } from '../../core/api.js';
import { fill, freshId, h } from '../../core/dom.js';
import { lacks, may, project, readSession, rememberProject } from '../../core/session.js';
import { count, moment } from '../../core/text.js';
import { complain, toast } from '../../core/toast.js';
import { twice } from './twice.js';

const EVERYWHERE = '*';
const PAGE = 50;
const DAYS = [
  ['videos_days', 'Videos, with all that was found in them'],
  ['crops_days', 'Pictures of faces in videos'],
  ['vectors_days', 'What compares faces in videos; names stay'],
  ['strangers_days', 'Strangers, after the last video that shows them'],
];

export async function projectsPart({ place, signal }) {
  const where = project();
  const all = await get(at`projects`, { signal });
  const isThere = all.some((one) => one.name === where);
  const policy = isThere ? await get(at`projects/${where}/policy`, { signal }) : null;
  fill(place,
    h('h2', {}, 'Projects'),
    newProject(),
    projectList(all, where),
    policy && policyForm(where, policy),
    isThere && deleteForm(where));
}

function newProject() {
  const allowed = may('admin', EVERYWHERE);
  const name = h('input', { id: freshId('project'), required: true, maxlength: '64', pattern: '[A-Za-z0-9][A-Za-z0-9._\\-]*', title: 'Letters, digits, dots, dashes and underscores', placeholder: 'Name of a new project', 'aria-label': 'Name of a new project', autocomplete: 'off', disabled: !allowed });
  return h('form.row', {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await put(at`projects/${name.value}`);
        toast(`Project ${name.value} is there`);
        await open(name.value);
      } catch (error) {
        complain(error);
      }
    },
  }, name, h('button', { type: 'submit', disabled: !allowed, title: allowed ? null : lacks('admin') }, 'Create'), !allowed && h('span.quiet.small', {}, 'New projects are made by whoever has the role “admin” in every project.'));
}

/** Go to a project, which may have been made just now. */
async function open(name) {
  await readSession();
  rememberProject(name);
  go(link('/service', { project: name, show: 'projects' }));
}

function projectList(all, where) {
  const list = h('ul.entries.card', {}, all.slice(0, PAGE).map((one) => projectRow(one, where)));
  const more = all.length > PAGE && h('button', { type: 'button', onclick: (event) => (list.append(...all.slice(PAGE).map((one) => projectRow(one, where))), event.target.remove()) }, `Show ${all.length - PAGE} more`);
  return [list, more];
}

function projectRow(one, where) {
  const isHere = one.name === where;
  return h('li', {}, h('div.row', {},
    h('a.grow.whole', { href: link('/service', { project: one.name, show: 'projects' }), 'aria-current': isHere ? 'true' : null }, h('bdi', {}, one.name)),
    isHere ? h('span.tag.on', {}, 'open') : null,
    h('span.quiet.small', {}, `since ${moment(one.created_at)}`), h('span.quiet.small', {}, one.embedder ?? 'empty')));
}

function policyForm(where, policy) {
  const allowed = may('admin');
  const disabled = !allowed;
  const days = DAYS.map(([name, text]) => ({ name, text, field: h('input.days', { id: freshId('days'), type: 'number', min: '0.01', max: '36500', step: 'any', value: policy[name] ?? '', placeholder: 'for ever', disabled }) }));
  const box = (name, checked) => h('input', { type: 'checkbox', id: freshId(name), checked, disabled });
  const unmatched = box('unmatched', policy.keep_unmatched);
  const expired = box('expired', policy.forget_expired);
  const found = h('div');
  const read = () => ({
    ...Object.fromEntries(days.map(({ name, field }) => [name, field.value === '' ? null : Number(field.value)])),
    keep_unmatched: unmatched.checked, forget_expired: expired.checked,
  });
  return h('section.card.stack', { 'aria-label': 'What is kept' },
    h('h3', {}, 'What ', h('bdi', {}, where), ' keeps, and for how long'),
    !allowed && h('p.quiet', {}, 'It is set by whoever has the role “admin” in this project.'),
    h('form.stack', {
      onsubmit: async (event) => {
        event.preventDefault();
        await save(where, policy, read());
      },
    },
    h('div.days-of', {}, days.map(({ text, field }) => [h('label', { for: field.id }, text), h('span', {}, field, h('span.quiet', {}, ' days'))])),
    h('label.row.plain', { for: unmatched.id }, unmatched, 'Keep pictures of faces that match nobody who is enrolled'),
    h('label.row.plain', { for: expired.id }, expired, 'Forget people whose consent is over'),
    !allowed && h('p.quiet.small', {}, lacks('admin')),
    allowed && h('div.row', {},
      h('button.primary', { type: 'submit' }, 'Save'),
      h('button', { type: 'button', onclick: () => preview(where, read(), found) }, 'Show what would go')),
    found));
}

async function save(where, former, policy) {
  const set = (to) => put(at`projects/${where}/policy`, to);
  try {
    await set(policy);
    toast('Saved. What is too old goes within the hour.', { action: { label: 'Undo', run: () => set(former).then(() => (toast('What is kept is as it was'), open(where)), complain) } });
    await open(where);
  } catch (error) {
    complain(error);
  }
}

/** Say what would go by a policy, which need not be saved. */
async function preview(where, policy, place) {
  try {
    const report = await post(at`projects/${where}/policy/sweep`, policy, { query: { preview: true } });
    const parts = inWords(report);
    fill(place, h('div.stack.sweep', { role: 'status' },
      h('p', {}, parts.length ? `By this, ${parts.join(', ')} would go now.` : 'By this, nothing would go now.'),
      parts.length > 0 && twice('Save, and remove them now', 'Remove them for good', async () => {
        await put(at`projects/${where}/policy`, policy);
        const gone = inWords(await post(at`projects/${where}/policy/sweep`));
        fill(place, h('p', { role: 'status' }, `Removed: ${gone.join(', ') || 'nothing'}.`));
      })));
  } catch (error) {
    complain(error);
  }
}

function inWords(report) {
  return [
    report.videos.length && count(report.videos.length, 'video'),
    report.crops && count(report.crops, 'picture of a face', 'pictures of faces'),
    report.tracks && `what compares ${count(report.tracks, 'face')}`,
    report.strangers.length && count(report.strangers.length, 'stranger'),
    report.forgotten.length && `everything of ${report.forgotten.map((one) => one.replaceAll('_', ' ')).join(', ')}`,
    report.expired.length && `(consent is over: ${report.expired.map((one) => one.replaceAll('_', ' ')).join(', ')})`,
  ].filter(Boolean);
}

function deleteForm(where) {
  const allowed = may('admin');
  const field = h('input', { id: freshId('delete'), autocomplete: 'off', disabled: !allowed, oninput: () => (button.disabled = field.value !== where) });
  const button = h('button.danger', { type: 'submit', disabled: true }, 'Delete the project for good');
  return h('section.card.stack', { 'aria-label': 'Delete' },
    h('h3', {}, 'Delete ', h('bdi', {}, where)),
    allowed
      ? h('form.stack', {
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            await remove(at`projects/${where}`);
            toast(`Project ${where} is deleted, with everything in it`);
            rememberProject('');
            await readSession();
            go(link('/service', { show: 'projects' }));
          } catch (error) {
            complain(error);
          }
        },
      },
      h('label', { for: field.id }, 'All its videos, people and names go, and nothing brings them back. Type the project’s name:'),
      h('div.row', {}, field, button))
      : h('p.quiet', {}, lacks('admin')));
}
