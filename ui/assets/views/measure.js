/** Measuring: say who is in a few clips, and see how often the names are right, and whether the claims hold. */

import { link, note, params } from '../core/address.js';
import { at, get } from '../core/api.js';
import { fill, h } from '../core/dom.js';
import { project } from '../core/session.js';
import { count, folded, length, moment, percent } from '../core/text.js';
import { complain } from '../core/toast.js';
import { empty, loading, View } from '../core/view.js';
import { reliability, stated } from './train/figures.js';
import { labelClip } from './measure/label.js';

const CHOICES = 8;
const PEOPLE = 25;

class MeasureView extends View {
  async build() {
    // What an earlier clip still waits for is of no more use.
    this.clip?.abort();
    this.clip = new AbortController();
    this.signal.addEventListener('abort', () => this.clip.abort());
    if (params().video) await labelClip(this, params().video, this.clip.signal);
    else await this.overview();
  }

  async overview() {
    const where = project();
    const [truths, videos, models] = await Promise.all(['truths', 'videos', 'models'].map((what) => get(`${at`projects/${where}`}/${what}`, { signal: this.signal })));
    const promoted = models.find((one) => one.promoted);
    const figures = h('div.stack');
    fill(this,
      h('div.head', {}, h('h1', {}, 'Measure'), h('p.quiet', {}, 'Say who is in a few clips; then it is counted how often the names are right.')),
      this.clips(truths, videos.filter((one) => one.analysed)),
      figures);
    if (!truths.length) return;
    if (!promoted) fill(figures, empty('Nothing names yet', 'Train first: then the names are measured on your clips.'));
    else await this.attempt(figures, () => this.drawFigures(figures, models.sort((one, other) => other.created_at - one.created_at), promoted));
  }

  clips(truths, videos) {
    const left = videos.filter((one) => !truths.some((truth) => truth.video_id === one.video_id));
    const open = (id) => link('/measure', { project: project(), video: id });
    const found = h('ul.entries');
    const search = h('input', { type: 'search', placeholder: 'Search clips', 'aria-label': 'Search clips', oninput: () => draw() });
    const draw = () => {
      const all = left.filter((one) => folded(one.name).includes(folded(search.value)));
      fill(found,
        all.slice(0, CHOICES).map((one) => h('li', {}, h('div.row', {}, h('a.clip.grow', { href: open(one.video_id) }, h('bdi', {}, one.name)), h('span.quiet.small.number', {}, length(one.duration_s ?? 0))))),
        all.length > CHOICES && h('li.quiet', {}, `and ${count(all.length - CHOICES, 'more clip')}: search for one`),
        !all.length && h('li.quiet', {}, videos.length ? 'No other clip' : 'No video is analysed yet'));
    };
    draw();
    return h('div.columns', {},
      h('section.card.stack', { 'aria-label': 'Labelled clips' }, h('h2', {}, 'Labelled clips'),
        truths.length
          ? h('ul.entries', {}, truths.map((one) => h('li', {},
            h('a.clip', { href: open(one.video_id) }, h('bdi', {}, one.video)),
            h('div.small.quiet', {}, `${count(one.people.length, 'person', 'people')}, ${count(one.strangers, 'stranger')} · ${moment(one.kept_at)}`))))
          : h('p.quiet', {}, 'None yet. Two or three clips that show people you know, and one with strangers alone, tell much.')),
      h('section.card.stack', { 'aria-label': 'Clips to label' }, h('h2', {}, 'Label another clip'), search, found));
  }

  async drawFigures(place, models, promoted) {
    const version = models.find((one) => one.version === params().version) ?? promoted;
    const other = models.find((one) => one.version === params().against && one !== version);
    const names = (one) => `${one.version}${one.promoted ? ' (names now)' : ''}, ${count(one.people, 'person', 'people')}`;
    const choice = (label, chosen, none, given) => h('div.field', {}, h('span', { 'aria-hidden': 'true' }, label),
      h('select', { 'aria-label': label, onchange: (event) => (note(given(event.target.value)), this.attempt(place, () => this.drawFigures(place, models, promoted)).catch(complain)) },
        none && h('option', { value: '' }, none),
        models.map((one) => h('option', { value: one.version, selected: one === chosen }, names(one)))));
    const figures = h('div.stack', { 'aria-live': 'polite' }, loading('Measuring…'));
    fill(place, h('h2', {}, 'How good the names are'),
      h('div.fields', {},
        choice('Version', version, null, (value) => ({ version: value })),
        choice('Compare with', other, models.length > 1 ? 'no other' : 'there is no other yet', (value) => ({ against: value }))),
      figures);
    const measured = await Promise.all([version, other].filter(Boolean).map((one) => get(at`projects/${project()}/models/${one.version}/measurement`, { signal: this.signal })));
    fill(figures, drawMeasured(measured));
  }
}

/** Draw one measured version, or two side by side. */
function drawMeasured(all) {
  const [first] = all;
  if (!first.report) return empty('Nothing to measure', 'The labelled clips were not analysed by the network of this version.');
  const reports = all.map((one) => one.report);
  const learned = all.find((one) => one.learned);
  return [
    learned && h('p.hint', {}, `${count(learned.learned, 'enrolled picture comes', 'enrolled pictures come')} from these very clips: the figures flatter ${learned.version}. Label clips that nothing was learned from.`),
    first.left_out.length > 0 && h('p.quiet', {}, `${count(first.left_out.length, 'clip is', 'clips are')} left out: not analysed by this version’s network.`),
    h('div.tiles-of', {}, tile('Of the time people are seen, named rightly', reports, (r) => part(r.pooled.recall), 'recall of person-time'),
      tile('Of the time a name is shown, it is right', reports, (r) => part(r.pooled.precision), 'precision of person-time'),
      tile('Strangers who got a name', all, strangersIn, 'claimed and observed')),
    h('div.columns', {}, first.report.claims.length ? reliability(first.report) : empty('No strangers', 'Label a clip that shows strangers: then it is seen whether the claim holds.'), stated(first.report)),
    people(reports, all),
    h('p.quiet.small', {}, 'Counted in seconds in which a person is seen. Faces that you gave no answer are left out; a person whose face was never found counts only where you have added them.'),
  ];
}

function part(value) {
  return value === null ? '–' : percent(value);
}

function strangersIn(one) {
  const claim = one.report.claims.find((row) => row.claimed === one.max_false_names);
  return claim ? `${claim.false_names} of ${claim.strangers}` : '–';
}

function tile(text, reports, say, hint) {
  return h('div.card.stack', {}, h('div.figure-of', {}, reports.map((one, i) => h('span', { class: i ? 'quiet' : '' }, i ? ` / ${say(one)}` : say(one)))), h('div', {}, text), h('div.small.quiet', {}, hint));
}

/** Everybody who is there or named. */
function people(reports, all) {
  const names = [...new Set(reports.flatMap((one) => Object.keys(one.people)))].sort();
  const head = ['Person', ...all.flatMap((one, i) => (all.length > 1 ? [`Found, ${i + 1}`, `Right, ${i + 1}`] : ['Found', 'Right'])), 'Seen', 'Wrong name'];
  const row = (name) => h('tr', {}, h('th', { scope: 'row' }, h('bdi', {}, name.replaceAll('_', ' '))),
    reports.flatMap((one) => [one.people[name]?.recall, one.people[name]?.precision]).map((value) => h('td.number', {}, value === undefined || value === null ? '–' : percent(value))),
    h('td.number', {}, length(reports[0].people[name]?.clear_s ?? 0)), h('td.number', {}, length(reports[0].people[name]?.wrong_s ?? 0)));
  const body = h('tbody', {}, names.slice(0, PEOPLE).map(row));
  return h('section.stack', { 'aria-label': 'Each person' }, h('h3', {}, 'Each person'),
    h('div.scroll', { tabindex: '0', role: 'group', 'aria-label': 'Each person' }, h('table.compare', {}, h('thead', {}, h('tr', {}, head.map((one) => h('th', { scope: 'col' }, one)))), body)),
    names.length > PEOPLE && h('button', { type: 'button', onclick: (event) => (body.append(...names.slice(PEOPLE).map(row)), event.target.remove()) }, `Show ${names.length - PEOPLE} more`));
}

customElements.define('fr-measure-view', MeasureView);
