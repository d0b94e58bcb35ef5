/** Keys: who may do what. A new one is shown once. */

import { at, get, post, remove } from '../../core/api.js';
import { fill, freshId, h } from '../../core/dom.js';
import { session } from '../../core/session.js';
import { moment } from '../../core/text.js';
import { complain, toast } from '../../core/toast.js';
import { empty } from '../../core/view.js';
import { twice } from './twice.js';

const EVERYWHERE = '*';
const ROLES = [['read', 'look at everything'], ['curate', 'look, add, name and correct'], ['admin', 'everything, also delete']];
const TERMS = [['30', '30 days'], ['365', 'a year'], ['3650', 'ten years'], ['', 'for ever']];

export async function keysPart({ place, signal }) {
  const list = h('ul.entries.card');
  const made = h('div');
  const draw = async () => {
    const keys = (await get(at`keys`, { signal })).sort((one, other) => other.created_at - one.created_at);
    fill(list, keys.length ? keys.map((key) => keyRow(key, draw)) : h('li', {}, empty('No keys', 'As long as there is none, only visitors of the service’s own machine get in. The first key you make closes the page for everybody without one.')));
  };
  await draw();
  fill(place, h('h2', {}, 'Keys'), newKey(made, draw), made, list);
}

function newKey(made, ondone) {
  const name = h('input', { id: freshId('key'), required: true, maxlength: '100', placeholder: 'For whom or what', autocomplete: 'off' });
  const where = h('select', { id: freshId('where') }, h('option', { value: EVERYWHERE }, 'Every project'), session.projects.map((one) => h('option', { value: one }, one)));
  const role = h('select', { id: freshId('role') }, ROLES.map(([value, text]) => h('option', { value }, `${value}: ${text}`)));
  const days = h('select', { id: freshId('days') }, TERMS.map(([value, text]) => h('option', { value, selected: value === '365' }, text)));
  const field = (text, control) => h('div.field', {}, h('label', { for: control.id }, text), control);
  return h('form.card.fields', {
    'aria-label': 'New key',
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        const key = await post(at`keys`, { name: name.value, grants: { [where.value]: role.value }, expires_in_days: days.value ? Number(days.value) : null });
        name.value = '';
        fill(made, shownOnce(key, () => fill(made)));
        made.querySelector('button').focus();
        await ondone();
      } catch (error) {
        complain(error);
      }
    },
  }, field('Name', name), field('Where', where), field('May', role), field('Valid for', days), h('button.primary', { type: 'submit' }, 'Make a key'));
}

function shownOnce(key, onclose) {
  const text = h('input.code', { readonly: true, value: key.key, 'aria-label': 'The new key', onfocus: (event) => event.target.select() });
  return h('section.card.stack.new-key', { role: 'alert' },
    h('h3', {}, 'The key “', h('bdi', {}, key.name), '”'),
    h('p', {}, 'Copy it now: it is shown this once, and is nowhere to be found later.'),
    h('div.row', {}, h('div.grow', {}, text),
      h('button.primary', { type: 'button', onclick: () => copy(text) }, 'Copy'),
      h('button', { type: 'button', onclick: onclose }, 'I have it')));
}

async function copy(field) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    toast('Copied');
  } catch {
    // Without https the clipboard is closed; what is selected can be copied by hand.
    toast('Press Ctrl-C: the key is selected', { tone: 'wrong' });
  }
}

function keyRow(key, ondone) {
  const now = Date.now() / 1000;
  const state = key.revoked_at !== null ? `revoked ${moment(key.revoked_at)}` : key.expires_at !== null && key.expires_at < now ? `over since ${moment(key.expires_at)}` : null;
  const grants = Object.entries(key.grants).map(([where, role]) => `${role} in ${where === EVERYWHERE ? 'every project' : where}`).join(', ');
  return h('li', { class: state ? 'undone' : '' },
    h('div.row', {}, h('strong.grow', {}, h('bdi', {}, key.name)),
      state ? h('span.tag', {}, state) : twice('Revoke', `Revoke “${key.name}” for good`, async () => {
        await remove(at`keys/${key.key_id}`);
        toast(`The key “${key.name}” opens nothing any more`);
        await ondone();
      })),
    h('div.small.quiet', {}, `key:${key.key_id} · ${grants} · made ${moment(key.created_at)} by ${key.created_by}${state ? '' : key.expires_at === null ? ' · for ever' : ` · until ${moment(key.expires_at)}`}`));
}
