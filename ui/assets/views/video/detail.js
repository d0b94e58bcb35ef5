/** Below the list: who is chosen, on what evidence, and what can be done about it; or about all that are marked, at once. */

import { link } from '../../core/address.js';
import { fill, h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { count } from '../../core/text.js';
import { complain } from '../../core/toast.js';
import { showPreview } from '../../elements/change.js';
import { evidenceOf } from '../../elements/evidence.js';
import { face } from '../../elements/face.js';
import { nameField } from '../../elements/name_field.js';

const FACES = 12;

export class Detail {
  /**
   * @param {import('../../core/view.js').View} view
   * @param {import('./corrections.js').Corrections} corrections
   */
  constructor(view, corrections) {
    Object.assign(this, { view, corrections });
    this.element = h('section.card.detail', { 'aria-label': 'Evidence', hidden: true });
    this.preview = h('div');
  }

  /** Show one, or several that are marked; none where the list is empty. */
  show(ones) {
    const { element } = this;
    const allowed = may('curate');
    element.hidden = !ones.length;
    // What is typed for some is not typed for others.
    element.dataset.of = ones.map((one) => one.track_ids[0]).join();
    fill(this.preview);
    this.field = null;
    if (!ones.length) return;
    const [one] = ones;
    const title = ones.length > 1 ? 'Who are they?' : 'Who is this?';
    this.field = nameField(title, {
      placeholder: ones.length > 1 ? `One name for all ${ones.length}` : one.person_id ? 'Another name' : title,
      about: () => ones,
      onname: ({ about, ...given }) => this.view.name(about, given),
      onpreview: ({ about, ...given }) => this.showPreview(about, given),
    });
    const asked = allowed ? this.field : h('p.quiet', {}, lacks('curate'));
    fill(element, ones.length > 1 ? this.several(ones, asked) : this.single(one, asked), this.preview);
  }

  single(one, asked) {
    const { where, limit } = this.view;
    const url = one.person_id ? link('/person', { project: where, person: one.person_id }) : one.stranger ? link('/strangers', { project: where, stranger: one.stranger }) : null;
    const isHidden = this.view.isHidden(one);
    return [
      h('div.row', {}, h('span.dot', { style: { background: this.view.colourOf(one) } }), h('h2.grow', {}, h('bdi', {}, one.label)), url && h('a', { href: url }, one.person_id ? 'Pictures' : 'All scenes')),
      evidenceOf(one, where, limit, may('curate') ? (near, identity) => this.corrections.setAside(near.face_id, identity) : null),
      asked,
      h('div.row', {},
        one.person_id && !one.confirmed && this.button(['Yes, ', h('bdi', {}, one.label)], 'Y', () => this.view.confirm()),
        one.person_id && this.button(['Not ', h('bdi', {}, one.label)], 'N', () => this.view.deny()),
        one.stranger && this.button(isHidden ? 'Show in lists' : 'Hide', 'H', () => this.view.hideStranger()))];
  }

  several(ones, asked) {
    const [named, strangers] = [ones.filter((one) => one.person_id), ones.filter((one) => one.stranger)];
    const open = named.filter((one) => !one.confirmed);
    return [
      h('div.row', {}, h('h2.grow', {}, `${count(ones.length, 'face')} marked`), h('button.link', { type: 'button', onclick: () => this.view.rows.clearMarks() }, 'Clear')),
      h('div.marked-faces', {}, ones.slice(0, FACES).map((one) => face(one.evidence.crops[0]?.url, one.label))),
      asked,
      h('div.row', {},
        open.length > 0 && this.button(open.length === 1 ? 'Yes, the name is right' : `Yes, ${open.length} names are right`, 'Y', () => this.view.confirm()),
        named.length > 0 && this.button(named.length === 1 ? 'No, the name is wrong' : `No, ${named.length} names are wrong`, 'N', () => this.view.deny()),
        strangers.length > 0 && this.button('Hide', 'H', () => this.view.hideStranger()))];
  }

  button(text, key, run) {
    const allowed = may('curate');
    return h('button', { type: 'button', disabled: !allowed, title: allowed ? null : lacks('curate'), onclick: run }, text, h('kbd', { 'aria-hidden': 'true' }, key));
  }

  /** Show what a name would change; Enter applies just that. */
  async showPreview(ones, given) {
    const { view } = this;
    try {
      const change = await this.corrections.preview(ones, given, view.signal);
      if (this.element.dataset.of !== ones.map((one) => one.track_ids[0]).join()) return;
      const leave = () => (fill(this.preview), this.field?.focus());
      showPreview(this.preview, change, {
        title: this.corrections.naming(ones, given).text, signal: view.signal,
        onapply: () => (fill(this.preview), view.name(ones, given, { expect: change.version })), oncancel: leave,
      });
    } catch (error) {
      complain(error);
    }
  }

  focus() {
    this.field?.isConnected && this.field.focus();
  }
}
