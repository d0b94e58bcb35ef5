/** How good versions are: what each claims, what was measured of it, and two side by side. */

import { link } from '../../core/address.js';
import { at, get } from '../../core/api.js';
import { h } from '../../core/dom.js';
import { project } from '../../core/session.js';
import { count, percent } from '../../core/text.js';
import { inPercent, plot } from '../../elements/plot.js';

export const CLASSIFIERS = {
  prototype: 'By each person’s mean face (half a second)', svm: 'By a line between people (support vectors)', knn: 'By the nearest pictures',
  rf: 'By a forest of decisions', softmax: 'By a small network',
};

/** "at most 2 strangers in 100 get a name". */
export function limitSentence(rate) {
  const n = 100 * rate;
  return n >= 1 ? `at most ${Number(n.toPrecision(3))} ${n === 1 ? 'stranger' : 'strangers'} in 100 ${n === 1 ? 'gets' : 'get'} a name` : `at most 1 stranger in ${Math.round(1 / rate).toLocaleString('en')} gets a name`;
}

const read = new Map();

/** Read what a version claims, and what was measured of it: once a visit of the view. */
export function figuresOf(version, signal) {
  const key = `${project()}/${version}`;
  if (!read.has(key)) {
    const asked = Promise.all([
      get(at`projects/${project()}/models/${version}/claims`, { signal }),
      get(at`projects/${project()}/models/${version}/measurement`, { signal }),
    ]).then(([claims, measured]) => ({ claims, measured }));
    asked.catch(() => read.delete(key));
    read.set(key, asked);
  }
  return read.get(key);
}

export function forgetFigures() {
  read.clear();
}

/** Draw what a version claims and what was observed. */
export function plots({ claims, measured }) {
  const observed = measured.report?.claims ?? [];
  return h('div.columns', {}, observed.length ? reliability(measured.report) : notMeasured(measured), price(claims));
}

/** Strangers that got a name: claimed against observed, in the videos of which it is known who is in them. */
export function reliability(report) {
  return plot(
    report.claims.map((one) => ({
      x: one.claimed, y: one.observed, low: one.observed_low, high: one.observed_high, isFine: one.kept,
      text: `claimed ${inPercent(one.claimed)}, observed ${inPercent(one.observed)}: ${one.false_names} of ${one.strangers}`,
    })),
    {
      title: 'Strangers who got a name', x: 'claimed: at most', y: 'observed', log: true,
      head: ['Claimed', 'Observed', 'From', 'To', 'Named', 'Strangers', 'Holds'],
      rows: report.claims.map((one) => [inPercent(one.claimed), inPercent(one.observed), inPercent(one.observed_low), inPercent(one.observed_high), one.false_names, one.strangers, one.kept ? 'yes' : 'no']),
    });
}

/** Probabilities that were shown, against how often the name was right. */
export function stated(report) {
  const bins = report.reliability.bins.filter((one) => one.count);
  return plot(
    bins.map((one) => ({ x: one.mean, y: one.observed, low: one.observed_low, high: one.observed_high, text: `shown ${inPercent(one.mean)}, right ${inPercent(one.observed)}, ${one.count} faces` })),
    {
      title: 'How sure, and how often right', x: 'how sure it was', y: 'how often right',
      head: ['Shown', 'Right', 'From', 'To', 'Faces'],
      rows: bins.map((one) => [inPercent(one.mean), inPercent(one.observed), inPercent(one.observed_low), inPercent(one.observed_high), one.count]),
    });
}

function notMeasured(measured) {
  return h('div.state.empty', {}, h('h3', {}, 'Claimed against observed: not measured yet'),
    h('p', {}, measured.report ? 'The videos that you have labelled show no stranger: label one that does.' : 'Say who is in a few clips, and it is seen here whether the claims hold.'),
    h('a.button', { href: link('/measure', { project: project() }) }, 'Label clips'));
}

/** How many enrolled people are named at each limit, as the version expects it. */
function price(claims) {
  return plot(
    claims.claims.map((one) => ({ x: one.claimed, y: one.named, isGuess: one.is_extrapolated, text: `${limitSentence(one.claimed)}: ${inPercent(one.named)} of enrolled people’s faces are named` })),
    {
      title: 'What a stricter limit costs', x: 'strangers who may get a name', y: 'enrolled people named', log: true, line: true,
      head: ['Strangers who may get a name', 'Enrolled people named', 'Checked'],
      rows: claims.claims.map((one) => [inPercent(one.claimed), inPercent(one.named), one.is_extrapolated ? 'no, estimated' : 'yes']),
    });
}

/** Compare two versions, line by line. */
export function comparison([one, other], [ones, others]) {
  const limit = ({ claims }) => claims.claims.find((row) => row.claimed === claims.max_false_names);
  const pooled = ({ measured }) => measured.report?.pooled;
  const observed = ({ measured }) => measured.report?.claims.find((row) => row.claimed === measured.max_false_names);
  const part = (value) => (value === null || value === undefined ? '–' : percent(value));
  const rows = [
    ['People', one.people, other.people],
    ['Pictures', one.faces, other.faces],
    ['How it learns', CLASSIFIERS[one.classifier] ?? one.classifier, CLASSIFIERS[other.classifier] ?? other.classifier],
    ['Strangers it was checked with', one.metrics.strangers ?? '–', other.metrics.strangers ?? '–'],
    ['Enrolled people named, expected', part(limit(ones)?.named), part(limit(others)?.named)],
    ['Of the time people are seen, named rightly', part(pooled(ones)?.recall), part(pooled(others)?.recall)],
    ['Of the names shown, right', part(pooled(ones)?.precision), part(pooled(others)?.precision)],
    ['Strangers who got a name', observedIn(observed(ones)), observedIn(observed(others))],
  ];
  return h('div.scroll', { tabindex: '0', role: 'group', 'aria-label': 'Two versions compared' },
    h('table.compare', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, h('span.hidden-text', {}, 'Figure')), [one, other].map((version) => h('th', { scope: 'col' }, version.version, version.promoted ? ' (names now)' : '')))),
      h('tbody', {}, rows.map(([name, ...values]) => h('tr', {}, h('th', { scope: 'row' }, name), values.map((value, i) => h('td.number', { class: isBetter(name, values, i) ? 'better' : '' }, value)))))));
}

const MORE_IS_BETTER = new Set(['Of the time people are seen, named rightly', 'Of the names shown, right']);

function isBetter(name, values, i) {
  const [mine, its] = [values[i], values[1 - i]].map((value) => parseFloat(value));
  return MORE_IS_BETTER.has(name) && mine > its;
}

function observedIn(claim) {
  return claim ? `${claim.false_names} of ${count(claim.strangers, 'stranger')}, claimed ${inPercent(claim.claimed)}` : '–';
}
