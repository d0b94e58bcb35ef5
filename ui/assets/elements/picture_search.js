/** A picture and the faces in it: one of them is chosen, and everybody like it in all videos is shown. */

import { link } from '../core/address.js';
import { at, post } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { likeliness } from '../core/strangers.js';
import { count } from '../core/text.js';
import { complain } from '../core/toast.js';
import { empty, loading } from '../core/view.js';
import { face } from './face.js';
import { foundCard, likeness, pagedList } from './found.js';

const PAGE = 24;
// Of two faces, that they are one person's, at even odds before: below it hardly anybody is meant.
const LEAST = 0.9;

class PictureSearch extends HTMLElement {
  /** Search for the faces of a file. */
  async search(project, file, signal) {
    Object.assign(this, { project, file, signal, least: LEAST });
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(file);
    this.image = h('img', { src: this.url, alt: 'The picture that is searched for' });
    this.boxes = h('div.picture-boxes', { role: 'group', 'aria-label': 'Faces in the picture' });
    this.found = h('div.stack', {}, loading('Searching for the faces…'));
    fill(this, h('div.picture-side.stack', {}, h('div.picture', {}, this.image, this.boxes), (this.hint = h('p.quiet.small'))), this.found);
    this.faces = await this.ask(null);
    await this.image.decode().catch(() => {});
    this.drawBoxes();
    if (!this.faces.length) return void fill(this.found, empty('No face was found in this picture', 'Try one in which a face is larger, and faces the camera.'));
    const largest = this.faces.reduce((best, one) => (area(one) > area(best) ? one : best));
    await this.choose(this.faces.indexOf(largest));
  }

  /** Show those who are hardly alike, too, or no longer. */
  async showLess(box, i) {
    this.least = box.checked ? 0 : LEAST;
    box.disabled = true;
    try {
      this.faces = await this.ask(null);
      await this.choose(i);
    } catch (error) {
      box.disabled = false;
      complain(error);
    }
  }

  disconnectedCallback() {
    if (this.url) URL.revokeObjectURL(this.url);
  }

  ask(cursor) {
    const form = new FormData();
    form.append('file', this.file);
    return post(at`projects/${this.project}/search/faces`, form, { query: { limit: PAGE, cursor, min_probability: this.least }, signal: this.signal });
  }

  drawBoxes() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    const part = (value, of) => `${(100 * value) / of}%`;
    fill(this.boxes, this.faces.map(({ box_xyxy: [x1, y1, x2, y2] }, i) =>
      h('button.picture-box', {
        type: 'button', 'aria-label': `Face ${i + 1} of ${this.faces.length}`, 'aria-pressed': 'false', onclick: () => this.choose(i),
        style: { left: part(x1, width), top: part(y1, height), width: part(x2 - x1, width), height: part(y2 - y1, height) },
      })));
    this.hint.textContent = this.faces.length > 1 ? `${count(this.faces.length, 'face')}: click the one that you mean.` : '';
  }

  async choose(i) {
    const one = this.faces[i];
    [...this.boxes.children].forEach((box, j) => box.setAttribute('aria-pressed', String(j === i)));
    const likely = one.candidates.filter((other) => other.probability >= 0.25).slice(0, 3);
    const list = h('div');
    fill(this.found,
      h('h2', {}, 'Who it may be'),
      likely.length
        ? h('ul.likely', {}, likely.map((other) => h('li', {}, h('a.candidate-link', { href: link('/person', { project: this.project, person: other.person_id }) }, face(other.picture, ''),
            h('span.candidate-name', {}, h('bdi.clip.strong', {}, other.identity), h('span.small.quiet', {}, likeliness(other.probability)))))))
        : h('p.quiet', {}, 'Nobody who is enrolled.'),
      h('div.row', {}, h('h2.grow', {}, 'Where they are seen'), h('label.row.small', {}, h('input', { type: 'checkbox', checked: this.least === 0, onchange: (event) => this.showLess(event.currentTarget, i) }), 'Less alike ones, too')),
      one.note && h('p.quiet.small', {}, one.note),
      list);
    await pagedList(list, async (cursor) => page((await this.ask(cursor))[i]), {
      first: page(one),
      make: (hit) => foundCard(this.project, hit, likeness(hit)),
      nothing: () => empty('Nobody like this in the videos', this.least ? 'No video that was analysed shows a face that is much alike.' : 'No video that was analysed shows any face.'),
    });
  }
}

function page(one) {
  return { items: one.hits, next_cursor: one.next_cursor };
}

function area({ box_xyxy: [x1, y1, x2, y2] }) {
  return (x2 - x1) * (y2 - y1);
}

customElements.define('fr-picture-search', PictureSearch);
