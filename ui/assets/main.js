/** What each page loads, the shell: links to the views, the project, what is told above all of them, and the view that the address names. */

import { go, link, onMove, params, takeLinks } from './core/address.js';
import { connection, isReady, pause } from './core/api.js';
import { fill, h, icon } from './core/dom.js';
import { edits, undo } from './core/edits.js';
import { keepFocus } from './core/focus.js';
import { bindKeys, keySheet, listenForKeys, openKeySheet } from './core/keys.js';
import { may, project, readSession, rememberProject, session } from './core/session.js';
import { count } from './core/text.js';
import { toastList } from './core/toast.js';
import { keepTyped } from './core/typed.js';

/** Path, title, element, and module of each view; those with `place` stand in the bar, with the keys that lead there. */
const VIEWS = [
  { path: '/', title: 'Videos', tag: 'fr-videos-view', module: './views/videos.js', key: 'v', inBar: true },
  { path: '/video', title: 'Video', tag: 'fr-video-view', module: './views/video.js' },
  { path: '/people', title: 'People', tag: 'fr-people-view', module: './views/people.js', key: 'p', inBar: true },
  { path: '/person', title: 'Person', tag: 'fr-person-view', module: './views/person.js' },
  { path: '/strangers', title: 'Who is this?', tag: 'fr-strangers-view', module: './views/strangers.js', key: 'w', inBar: true },
  { path: '/search', title: 'Search', tag: 'fr-search-view', module: './views/search.js', key: 's', inBar: true },
  { path: '/train', title: 'Train', tag: 'fr-train-view', module: './views/train.js', key: 't', inBar: true },
  { path: '/measure', title: 'Measure', tag: 'fr-measure-view', module: './views/measure.js', key: 'm', inBar: true },
  { path: '/service', title: 'Service', tag: 'fr-service-view', module: './views/service.js', key: 'o', inBar: true },
];
/** What all views share, then what some do. */
const STYLES = ['shared', 'videos', 'people', 'service'];
// A service that ends is told of within five seconds.
const HEALTH_PERIOD_MS = 2500;
const KEYS = 'M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M7 14h10';

class App extends HTMLElement {
  async connectedCallback() {
    if (this.main) return;
    const styles = STYLES.map((name) => h('link', { rel: 'stylesheet', href: new URL(`styles/${name}.css`, import.meta.url).href }));
    const areThere = styles.map((style) => new Promise((resolve) => ['load', 'error'].forEach((type) => style.addEventListener(type, resolve))));
    this.attachShadow({ mode: 'open' });
    this.nav = h('nav', { 'aria-label': 'Views' });
    this.projects = h('select', { 'aria-label': 'Project', id: 'project', onchange: () => this.choose(this.projects.value) });
    this.away = h('div.away', { role: 'alert', hidden: true }, 'The service does not answer. What you see is what it told last; trying again…');
    this.keeping = h('span.keeping.quiet.small', { role: 'status', hidden: true });
    // Gradio has made the landmark.
    this.main = h('div.main', { id: 'main', tabindex: '-1' });
    fill(
      this.shadowRoot,
      styles,
      h('a.skip', { href: '#main', onclick: (event) => (event.preventDefault(), this.main.focus()) }, 'Skip to the content'),
      h(
        'header.bar',
        {},
        h('a.brand', { href: '/' }, 'FaceRec'),
        this.nav,
        h('div.row.end', {}, this.keeping, this.projects, h('button.bare', { type: 'button', 'aria-label': 'Keys', title: 'Keys (?)', onclick: openKeySheet }, icon(KEYS))),
      ),
      this.away,
      this.main,
      toastList(),
      keySheet(),
    );
    keepFocus(this.shadowRoot, this.main);
    keepTyped(this.shadowRoot);
    listenForKeys();
    bindKeys('Everywhere', [
      { keys: ['Ctrl-z'], does: 'Undo the last change of names', run: undo },
      ...VIEWS.filter((one) => one.inBar).map(({ key, title, path }) => ({ keys: [`Shift-${key}`], does: title, run: () => go(this.linkTo(path)) })),
    ]);
    takeLinks(this.shadowRoot, (path) => VIEWS.some((one) => one.path === path));
    connection.addEventListener('away', () => (this.away.hidden = false));
    connection.addEventListener('back', () => this.comeBack());
    edits.addEventListener('waiting', ({ detail: n }) => this.tellWaiting(n));
    onMove(() => this.show());
    this.watch();
    await Promise.all([...areThere, this.readAgain()]);
    await this.show();
  }

  /** Read who asks; where that fails, as before the service is there, the views say why. */
  async readAgain() {
    try {
      await readSession();
    } catch (error) {
      if (error.status === undefined) throw error;
    }
    this.drawBar();
  }

  async comeBack() {
    this.away.hidden = true;
    await this.readAgain();
    this.main.firstElementChild?.isBack?.();
  }

  /** Tell of changes that are on their way. */
  tellWaiting(n) {
    this.keeping.hidden = n === 0;
    this.keeping.textContent = n ? `keeping ${count(n, 'change')}…` : '';
  }

  linkTo(path) {
    return link(path, { project: project() });
  }

  drawBar() {
    const current = location.pathname;
    const home = { '/video': '/', '/person': '/people' }[current] ?? current;
    fill(
      this.nav,
      VIEWS.filter((one) => one.inBar).map(({ path, title }) =>
        h('a', { href: this.linkTo(path), 'aria-current': path === home ? 'page' : null }, title),
      ),
    );
    this.showCurrent();
    const names = [...new Set([...session.projects, project()])];
    fill(this.projects, names.map((name) => h('option', { value: name, selected: name === project() }, name)));
    this.projects.title = session.isRead && !may('curate') ? 'Your key may only read this project' : '';
  }

  /** Where the links are wider than the window, show the one that the visitor is at. */
  showCurrent() {
    const current = this.nav.querySelector('[aria-current]');
    if (current) this.nav.scrollLeft = current.offsetLeft - this.nav.offsetLeft - (this.nav.clientWidth - current.offsetWidth) / 2;
  }

  choose(name) {
    rememberProject(name);
    const path = VIEWS.find((one) => one.inBar && one.path === location.pathname)?.path ?? '/';
    go(link(path, { project: name }));
  }

  /** Show the view that the address names. */
  async show() {
    const view = VIEWS.find((one) => one.path === location.pathname) ?? VIEWS[0];
    if (params().project) rememberProject(params().project);
    document.title = `${view.title} · FaceRec`;
    this.drawBar();
    if (this.main.firstElementChild?.localName === view.tag) {
      this.main.firstElementChild.moved();
      return;
    }
    await import(view.module);
    if (VIEWS.find((one) => one.path === location.pathname) !== view) return;
    fill(this.main, h(view.tag));
    scrollTo(0, 0);
  }

  /** Ask again and again whether the service is there, as long as the page is looked at. */
  async watch() {
    for (;;) {
      if (!document.hidden) await isReady();
      await pause(HEALTH_PERIOD_MS);
    }
  }
}

customElements.define('fr-app', App);
