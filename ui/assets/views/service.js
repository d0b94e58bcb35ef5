/** The service and the project: how it is, what it does, what was changed and by whom, and who may do what. */

import { link, params } from '../core/address.js';
import { fill, h } from '../core/dom.js';
import { may, project } from '../core/session.js';
import { View } from '../core/view.js';
import { auditPart } from './service/audit.js';
import { healthPart } from './service/health.js';
import { historyPart } from './service/history.js';
import { jobsPart } from './service/jobs.js';
import { keysPart } from './service/keys.js';
import { projectsPart } from './service/projects.js';

const EVERYWHERE = '*';

/** The parts, each with what it needs: those that the visitor may not see say so, and are not asked for. */
const PARTS = [
  { name: 'health', title: 'Health', build: healthPart },
  { name: 'jobs', title: 'Jobs', build: jobsPart },
  { name: 'history', title: 'History', build: historyPart },
  { name: 'projects', title: 'Projects', build: projectsPart },
  { name: 'keys', title: 'Keys', build: keysPart, mayNot: () => !may('admin', EVERYWHERE) && 'Keys are made by whoever has the role “admin” in every project.' },
  { name: 'audit', title: 'Audit log', build: auditPart, mayNot: () => !may('admin') && `The audit log of ${project()} is read by whoever has the role “admin” in it.` },
];

class ServiceView extends View {
  async build() {
    const part = PARTS.find((one) => one.name === params().show) ?? PARTS[0];
    // What an earlier part still waits for is of no more use.
    this.partEnding?.abort();
    this.partEnding = new AbortController();
    const { signal } = this.partEnding;
    this.signal.addEventListener('abort', () => this.partEnding.abort());
    const place = h('div.stack.service-part');
    fill(this, h('div.head', {}, h('h1', {}, 'Service'), this.links(part)), place);
    const why = part.mayNot?.();
    if (why) {
      fill(place, h('div.state.empty', {}, h('h2', {}, 'Your key may not see this'), h('p', {}, why)));
      return;
    }
    await this.attempt(place, () => part.build({ place, signal, view: this }));
  }

  links(current) {
    return h('nav.parts', { 'aria-label': 'Parts of this page' },
      PARTS.map(({ name, title }) =>
        h('a', { href: link('/service', { project: project(), show: name }), 'aria-current': name === current.name ? 'page' : null }, title)));
  }
}

customElements.define('fr-service-view', ServiceView);
