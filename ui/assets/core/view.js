/** What every view has in common: it ends its work when it is left, and says when it loads, fails, or may not be seen. */

import { pause } from './api.js';
import { fill, h } from './dom.js';
import { bindKeys } from './keys.js';
import { isUnbegun } from './session.js';

/** A view. Subclasses have `build`, which draws it, and may have `moved`, for another address of the same view. */
export class View extends HTMLElement {
  connectedCallback() {
    this.ending = new AbortController();
    this.start();
  }

  disconnectedCallback() {
    this.ending.abort();
  }

  /** Ends with the view: for requests, listeners and keys. */
  get signal() {
    return this.ending.signal;
  }

  listen(target, type, call) {
    target.addEventListener(type, call, { signal: this.signal });
  }

  bind(title, keys) {
    bindKeys(title, keys, this.signal);
  }

  /** Draw the view from its beginning. */
  async start() {
    this.hasFailed = false;
    await this.attempt(this, () => this.build());
  }

  /** The service is back, and who asks is read again: so is what failed meanwhile. */
  isBack() {
    if (this.hasFailed) this.start();
  }

  /** The address has changed, and is still this view's. */
  moved() {
    this.start();
  }

  /**
   * Do what may fail, and show in `place` that it loads, or what went wrong.
   *
   * @param {HTMLElement} place
   * @param {() => Promise<void>} work
   */
  async attempt(place, work) {
    const { signal } = this;
    if (!place.children.length) fill(place, loading());
    try {
      await work();
    } catch (error) {
      if (signal.aborted || error.name === 'AbortError') return;
      // What has taken the place of the whole view has its heading, too.
      const heading = place === this && h('h1.hidden-text', {}, document.title.split(' · ')[0]);
      if (error.status === undefined) {
        fill(place, heading, failed('This view has a fault', 'Load the page again.', null));
        throw error;
      }
      this.hasFailed ||= error.isAway;
      fill(place, error.status === 404 && isUnbegun() ? unbegun() : [heading, failedBy(error, () => this.start())]);
    }
  }

  /** Call again and again while the view is open and looked at, `ms` after it has ended; it ends where `call` returns false. */
  async every(ms, call) {
    const { signal } = this;
    try {
      for (;;) {
        await pause(ms, signal);
        if (document.hidden) continue;
        try {
          if ((await call()) === false) return;
        } catch (error) {
          // A service that does not answer is told of above all views, and asked again here.
          if (!error.isAway) throw error;
        }
      }
    } catch (error) {
      if (error.name !== 'AbortError') throw error;
    }
  }
}

export function loading(text = 'Loading…') {
  return h('div.state', { role: 'status' }, h('span.spinner', { 'aria-hidden': 'true' }), text);
}

/** What a place shows that has nothing to show. */
export function empty(title, text, ...actions) {
  return h('div.state.empty', {}, h('h2', {}, title), text && h('p', {}, text), actions.length ? h('div.row', {}, actions) : null);
}

function unbegun() {
  return h('div.stack', {}, h('h1.hidden-text', {}, 'Nothing is here yet'),
    empty('Nothing is here yet', 'Add a video first: who is in it is found while you wait.', h('a.button', { href: '/' }, 'Add a video')));
}

function failed(title, text, retry) {
  return h(
    'div.state.failed',
    { role: 'alert' },
    h('h2', {}, title),
    h('p', {}, text),
    retry && h('button', { type: 'button', onclick: retry }, 'Try again'),
  );
}

const TITLES = { 403: 'Your key may not see this', 404: 'This is not there', 0: 'No connection', 503: 'The service does not answer' };

function failedBy(problem, retry) {
  return failed(TITLES[problem.status] ?? problem.title, problem.message, problem.status === 403 ? null : retry);
}
