/** Search: a picture, people who are seen together, and texts. What is searched for is in the address, but for the picture. */

import { link, note, params } from '../core/address.js';
import { at, get } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { bindKeys } from '../core/keys.js';
import { matching, people } from '../core/people.js';
import { project } from '../core/session.js';
import { count, folded, length } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { empty, loading, View } from '../core/view.js';
import { foundCard, howMany, pagedList } from '../elements/found.js';
import { nameField } from '../elements/name_field.js';
import '../elements/picture_search.js';

const PAGE = 48;
const SHOWN = 24;
const TYPING_MS = 150;

/** Several people in one value of the address: any name may be among them. */
const written = (who) => who.map(encodeURIComponent).join(',');
const readWho = (text) => (text ?? '').split(',').filter(Boolean).map(decodeURIComponent);

class SearchView extends View {
  async build() {
    this.where = project();
    this.inner?.abort();
    this.inner = new AbortController();
    this.signal.addEventListener('abort', () => this.inner.abort());
    const { signal } = this.inner;
    this.who = readWho(params().who);
    this.text = h('input', { type: 'search', placeholder: 'Names of people, titles of videos', 'aria-label': 'Names of people, titles of videos', value: params().q ?? '', oninput: () => this.typed() });
    this.file = h('input', { type: 'file', accept: 'image/*', hidden: true, onchange: () => this.file.files[0] && this.searchPicture(this.file.files[0]) });
    this.field = nameField('Who is seen', { isKnown: true, onname: (one) => this.add(one) });
    this.chips = h('ul.row.chips', { 'aria-label': 'Who is searched for' });
    this.drop = h('div.drop.picture-drop', {}, h('button.primary', { type: 'button', onclick: () => this.file.click() }, 'Choose a picture'), h('span.quiet', {}, 'drop one here, or paste one'), this.file);
    this.results = h('div.stack.results');
    fill(this,
      h('div.head', {}, h('h1', {}, 'Search')),
      h('div.search-ways', {},
        h('section.card.stack', { 'aria-labelledby': 'by-text' }, h('h2', { id: 'by-text' }, 'By text'), this.text),
        h('section.card.stack', { 'aria-labelledby': 'by-people' }, h('h2', { id: 'by-people' }, 'By person, or people together'), this.chips, this.field),
        h('section.card.stack', { 'aria-labelledby': 'by-picture' }, h('h2', { id: 'by-picture' }, 'By picture'), this.drop)),
      this.results);
    this.wire(signal);
    this.drawChips();
    await this.run();
  }

  wire(signal) {
    const over = (is) => (event) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      this.drop.classList.toggle('over', is);
    };
    this.addEventListener('dragover', over(true), { signal });
    this.addEventListener('dragleave', over(false), { signal });
    this.addEventListener('drop', (event) => {
      over(false)(event);
      const [file] = event.dataTransfer.files;
      if (file) this.searchPicture(file);
    }, { signal });
    document.addEventListener('paste', (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith('image/'));
      if (!file) return;
      event.preventDefault();
      this.searchPicture(file);
    }, { signal });
    bindKeys('Search', [
      { keys: ['/'], does: 'To the field for texts', run: () => this.text.focus() },
      { keys: ['n'], does: 'To the field for people', run: () => this.field.focus() },
    ], signal);
  }

  typed() {
    note({ q: this.text.value });
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.run().catch(complain), TYPING_MS);
  }

  add({ person_id: person }) {
    if (!this.who.includes(person)) this.who.push(person);
    this.changed();
    this.field.focus();
  }

  remove(person) {
    this.who = this.who.filter((one) => one !== person);
    this.changed();
    this.field.focus();
  }

  changed() {
    note({ who: written(this.who) });
    this.drawChips();
    this.run().catch(complain);
  }

  drawChips() {
    const text = this.who.length ? 'and together with' : 'A person';
    this.field.field?.setAttribute('placeholder', text);
    this.field.setAttribute('placeholder', text);
    this.chips.hidden = !this.who.length;
    fill(this.chips, this.who.map((one) => h('li.tag', {}, h('bdi', {}, one.replaceAll('_', ' ')),
      h('button.bare', { type: 'button', 'aria-label': `Without ${one.replaceAll('_', ' ')}`, onclick: () => this.remove(one) }, '×'))));
  }

  /** Show what texts and people lead to; a picture stays until something else is searched for. */
  async run() {
    const text = this.text.value.trim();
    if (!text && !this.who.length) {
      if (!this.picture?.isConnected) fill(this.results, this.hello());
      return;
    }
    const sections = [];
    if (this.who.length) sections.push(this.together());
    if (text) sections.push(this.byText(text));
    fill(this.results, sections);
    this.picture = null;
  }

  hello() {
    return empty('Who are you searching for?', 'Type a name, add people who are seen together, or choose a picture of them: every scene that is found leads into its video.');
  }

  together() {
    const list = h('div', {}, loading('Searching…'));
    const title = this.who.length > 1 ? 'Where they are seen together' : 'Where they are seen';
    const who = [...this.who];
    this.attempt(list, () => pagedList(list,
      (cursor) => get(at`projects/${this.where}/appearances`, { query: { person_id: who, limit: PAGE, cursor }, signal: this.inner.signal }), {
        make: (one) => foundCard(this.where, one),
        nothing: () => empty('Nowhere', who.length > 1 ? 'There is no shot in which all of them are seen.' : 'No video shows this person.'),
      }));
    return h('section.stack', { 'aria-label': title }, h('h2', {}, title), list);
  }

  byText(text) {
    const place = h('section.stack', { 'aria-label': 'Names and titles' }, loading('Searching…'));
    this.attempt(place, async () => {
      const [all, videos] = await Promise.all([people(this.where), this.videos()]);
      if (this.text.value.trim() !== text) return;
      const number = /^(?:unknown\s*)?(\d+)$/i.exec(text)?.[1];
      const found = matching(all, text, Infinity);
      const wanted = folded(text);
      const titles = videos.filter((one) => folded(`${one.name} ${one.catalogue?.titles?.join(' ') ?? ''}`).includes(wanted));
      fill(place,
        number && h('p', {}, h('a', { href: link('/strangers', { project: this.where, stranger: number }) }, `All scenes of Unknown ${number}`)),
        found.length ? [h('h2', {}, 'People ', howMany(found.length, 'name')), partOf(found, (one) => this.person(one))] : null,
        titles.length ? [h('h2', {}, 'Videos ', howMany(titles.length, 'title')), partOf(titles, (one) => this.title(one))] : null,
        !found.length && !titles.length && !number && empty('Nothing is called so', 'Neither a person who is enrolled, nor a video.'));
    });
    return place;
  }

  /** The videos of the project; read again with the next visit. */
  videos() {
    this.allVideos ??= get(at`projects/${this.where}/videos`, { signal: this.signal });
    this.allVideos.catch(() => (this.allVideos = null));
    return this.allVideos;
  }

  person(one) {
    return h('li.hit-row', {}, h('a.clip.grow', { href: link('/person', { project: this.where, person: one.person_id }) }, h('bdi', {}, one.identity)),
      h('button.link', { type: 'button', 'aria-label': `Scenes of ${one.identity}`, onclick: () => this.add(one) }, 'Scenes'));
  }

  title(one) {
    return h('li.hit-row', {}, h('a.clip.grow', { href: link('/video', { project: this.where, video: one.video_id }) }, h('bdi', {}, one.name)),
      one.duration_s !== undefined && h('span.small.quiet.number', {}, length(one.duration_s)));
  }

  async searchPicture(file) {
    this.file.value = '';
    if (!file.type.startsWith('image/')) return void toast('That is no picture.', { tone: 'wrong' });
    this.who = [];
    this.text.value = '';
    note({ who: null, q: null });
    this.drawChips();
    this.picture = h('fr-picture-search');
    fill(this.results, this.picture);
    const { picture } = this;
    try {
      await picture.search(this.where, file, this.inner.signal);
    } catch (error) {
      if (error.name === 'AbortError') return;
      fill(picture, empty('This picture cannot be searched for', error.message));
      if (error.status === undefined) throw error;
    }
  }
}

/** A list of the first ones, with a button for the others. */
function partOf(all, make) {
  const list = h('ul.hit-list', {}, all.slice(0, SHOWN).map(make));
  const more = () => {
    const n = list.querySelectorAll('.hit-row').length;
    list.querySelector('.hit-more')?.remove();
    list.append(...all.slice(n, n + 10 * SHOWN).map(make), ...rest(all.length - n - 10 * SHOWN));
  };
  const rest = (n) => (n > 0 ? [h('li.hit-more', {}, h('button', { type: 'button', onclick: more }, `${count(n, 'more', 'more')}`))] : []);
  list.append(...rest(all.length - SHOWN));
  return list;
}

customElements.define('fr-search-view', SearchView);
