/** Pictures of a person, from this computer or from the web: sent, judged one by one, and told what became of each. */

import { note, params } from '../core/address.js';
import { at, upload, post } from '../core/api.js';
import { fill, freshId, h } from '../core/dom.js';
import { forgetPeople, nameProblem, personId } from '../core/people.js';
import { lacks, may, project } from '../core/session.js';
import { count, percent } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { face } from './face.js';
import { plainReason } from './reasons.js';
import { followJob } from './jobs.js';

// Sent together: the faces of a few pictures tell which one of a group is meant.
const TOGETHER = 20;
const WORDS = { taken: 'learned from', disabled: 'set aside', refused: 'refused' };
const SOURCES = [
  ['bing', 'Bing'], ['google', 'Google'], ['baidu', 'Baidu'],
  ['site', 'A web site', 'Address of the site', 'https://…'],
  ['folder', 'A folder of the server', 'Folder', '/data/pictures'],
];

/**
 * Sends `added` when pictures were added, with `{person_id, identity}`.
 *
 * Give it `who()`, which returns a name; where that is empty, it says what is missing, and `onunnamed()` is called.
 */
class AddPictures extends HTMLElement {
  connectedCallback() {
    if (this.results) return;
    this.ending = new AbortController();
    const onlyReads = !may('curate');
    const closed = { disabled: onlyReads, title: onlyReads ? lacks('curate') : null };
    this.files = h('input', { type: 'file', accept: 'image/*', multiple: true, hidden: true, onchange: () => this.send([...this.files.files]) });
    this.results = h('ul.added');
    this.total = h('p', { role: 'status' });
    this.job = h('div');
    this.drop = h('section.drop.stack', { 'aria-label': 'Add pictures' },
      h('div.row.centre', {},
        h('button.primary', { type: 'button', ...closed, onclick: () => this.isNamed() && this.files.click() }, 'Choose pictures'),
        h('span.quiet', {}, 'or drop them here')),
      this.files);
    fill(this, h('div.add-ways', {}, this.drop, this.crawlForm(closed)), this.job, this.total, this.results);
    if (!onlyReads) this.takeDrops();
    if (params().job) this.follow(params().job);
  }

  disconnectedCallback() {
    this.ending?.abort();
  }

  crawlForm(closed) {
    const id = freshId('source');
    this.source = h('select', { id, ...closed, onchange: () => this.chooseSource() }, SOURCES.map(([value, text]) => h('option', { value }, text)));
    this.target = h('input', { type: 'text', ...closed });
    this.targetLabel = h('label.grow.stack', { hidden: true }, h('span'), this.target);
    this.most = h('input', { type: 'number', min: '1', max: '1000', value: '20', ...closed });
    this.alone = h('input', { type: 'checkbox', checked: true, ...closed });
    return h('form.card.stack.crawl', { 'aria-label': 'Find pictures on the web', onsubmit: (event) => (event.preventDefault(), this.crawl()) },
      h('h3', {}, 'Or find them on the web'),
      h('div.row', {},
        h('label.stack', { for: id }, 'Find them with', this.source), this.targetLabel,
        h('label.stack', {}, 'At most', this.most)),
      h('label.row', {}, this.alone, h('span', {}, 'Only pictures that show one face')),
      h('div.row', {}, h('button', { type: 'submit', ...closed }, 'Find pictures')));
  }

  chooseSource() {
    const [, , label, example] = SOURCES.find(([value]) => value === this.source.value);
    this.targetLabel.hidden = !label;
    this.targetLabel.firstElementChild.textContent = label ?? '';
    this.target.placeholder = example ?? '';
  }

  takeDrops() {
    const over = (is) => (event) => (event.preventDefault(), this.drop.classList.toggle('over', is));
    this.drop.addEventListener('dragover', over(true));
    this.drop.addEventListener('dragleave', over(false));
    this.drop.addEventListener('drop', (event) => {
      over(false)(event);
      if (this.isNamed()) this.send([...event.dataTransfer.files]);
    });
  }

  isNamed() {
    const problem = nameProblem(this.who());
    if (!problem) return true;
    toast(problem, { tone: 'wrong' });
    this.onunnamed?.();
    return false;
  }

  /** Send pictures, some at a time, and tell what became of each. */
  async send(files) {
    this.files.value = '';
    const [where, identity] = [project(), this.who().trim()];
    const rows = files.map((file) => this.row(file));
    fill(this.results, rows.map((row) => row.element));
    const counts = { taken: 0, disabled: 0, refused: 0 };
    for (let start = 0; start < rows.length; start += TOGETHER) {
      const part = rows.slice(start, start + TOGETHER);
      const form = new FormData();
      part.forEach(({ file }) => form.append('files', file));
      try {
        const answer = await upload(at`projects/${where}/people/${personId(identity)}/pictures`, form, {
          signal: this.ending.signal,
          onProgress: (sent) => part.forEach((row) => row.tell(sent < 1 ? `sending ${percent(sent)}` : 'being judged…')),
        });
        answer.forEach((picture, i) => {
          counts[picture.status] += 1;
          part[i]?.judge(picture);
        });
      } catch (error) {
        if (error.name === 'AbortError') return;
        part.forEach((row) => row.judge({ status: 'refused', reason: error.message }));
        counts.refused += part.length;
      }
      this.total.textContent = `${identity}: ${Object.entries(counts).filter(([, n]) => n).map(([status, n]) => `${count(n, 'picture')} ${WORDS[status]}`).join(', ')}`;
    }
    if (counts.taken + counts.disabled) this.tellAdded(identity);
  }

  row(file) {
    const url = URL.createObjectURL(file);
    const end = () => URL.revokeObjectURL(url);
    const picture = h('img.face', { src: url, alt: '', onload: end, onerror: () => (end(), picture.replaceWith(face(null))) });
    const state = h('span.quiet.small', {}, 'waiting');
    const shown = h('div.added-face', {}, picture);
    const element = h('li.row', {}, shown, h('div.grow', {}, h('bdi.clip.added-name', {}, file.name), state));
    return {
      file, element,
      tell: (text) => (state.textContent = text),
      judge: ({ status, reason, crop }) => {
        if (crop) fill(shown, face(crop));
        fill(state, h('span.tag', { class: { refused: 'wrong', disabled: 'warn' }[status] ?? '' }, WORDS[status]), reason && h('span', { title: reason }, ` ${plainReason(reason)}`));
      },
    };
  }

  tellAdded(identity) {
    forgetPeople();
    this.dispatchEvent(new CustomEvent('added', { bubbles: true, detail: { person_id: personId(identity), identity } }));
  }

  async crawl() {
    if (!this.isNamed()) return;
    const kind = this.source.value;
    const target = this.target.value.trim();
    if (!this.targetLabel.hidden && !target) {
      this.target.focus();
      return;
    }
    try {
      const identity = this.who().trim();
      const { job_id: id } = await post(at`projects/${project()}/people/${personId(identity)}/crawl`, {
        source: this.targetLabel.hidden ? kind : `${kind}:${target}`, max_num: Number(this.most.value) || 20, discard_multi_face: this.alone.checked,
      });
      note({ job: id, of: identity });
      this.follow(id);
    } catch (error) {
      complain(error);
    }
  }

  /** Tell how far a search for pictures is; after a reload, too. */
  async follow(id) {
    const identity = params().of ?? this.who();
    try {
      const job = await followJob(this.job, id, this.ending.signal);
      note({ job: null, of: null });
      const words = { succeeded: `Pictures of ${identity} were found`, cancelled: 'The search for pictures was ended' };
      fill(this.job, h('p', { role: 'status', class: job.state === 'failed' ? 'wrong-text' : '' }, words[job.state] ?? `No pictures were added: ${job.error}`));
      // What was fetched before a search failed or was ended may be enrolled all the same.
      this.tellAdded(identity);
    } catch (error) {
      if (error.status === 404) note({ job: null, of: null });
      complain(error);
    }
  }
}

customElements.define('fr-add-pictures', AddPictures);

/** Make one; `who()` returns the name of the person whose pictures they are. */
export function addPictures(who, { onadded, onunnamed } = {}) {
  const element = Object.assign(document.createElement('fr-add-pictures'), { who, onunnamed });
  if (onadded) element.addEventListener('added', (event) => onadded(event.detail));
  return element;
}
