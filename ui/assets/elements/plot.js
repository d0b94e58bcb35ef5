/** Plots: drawn as SVG, each with a table of the same figures for who does not see it. */

import { freshId, h } from '../core/dom.js';

const NS = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [420, 300, 52, 26, 12, 44];

/** Make an element of a drawing; `text` is its text. */
function s(tag, given = {}, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(given)) if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined));
  return element;
}

/**
 * Draw claimed against observed.
 *
 * @param {Array<{x: number, y: number, low?: number, high?: number, isFine?: boolean, text: string}>} points `text` says one in words.
 * @param {{title: string, x: string, y: string, log?: boolean, line?: boolean, series?: string, head: string[], rows: string[][]}} how `line`
 *   joins the points; without it, the diagonal on which a claim holds is drawn. `head` and `rows` are the table.
 */
export function plot(points, { title, x, y, log = false, line = false, head, rows }) {
  const id = freshId('plot');
  const scale = log ? logScale(points) : { at: (value) => value, ticks: [0, 0.25, 0.5, 0.75, 1] };
  const yScale = log && !line ? scale : { at: (value) => value, ticks: [0, 0.25, 0.5, 0.75, 1] };
  const px = (value) => LEFT + scale.at(value) * (WIDTH - LEFT - RIGHT);
  const py = (value) => HEIGHT - BOTTOM - yScale.at(value) * (HEIGHT - TOP - BOTTOM);
  const drawing = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'plot', role: 'img', 'aria-labelledby': id },
    s('title', { id }, `${title}: the figures are in the table below`),
    scale.ticks.map((tick) => [s('line', { class: 'grid', x1: px(tick), x2: px(tick), y1: TOP, y2: HEIGHT - BOTTOM }), s('text', { x: px(tick), y: HEIGHT - BOTTOM + 16, 'text-anchor': 'middle' }, inPercent(tick))]),
    yScale.ticks.map((tick) => [s('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: py(tick), y2: py(tick) }), s('text', { x: LEFT - 6, y: py(tick) + 4, 'text-anchor': 'end' }, inPercent(tick))]),
    line ? s('polyline', { class: 'curve', points: points.map((one) => `${px(one.x)},${py(one.y)}`).join(' ') }) : s('line', { class: 'ideal', x1: px(scale.ticks[0]), y1: py(yScale.ticks[0]), x2: px(scale.ticks.at(-1)), y2: py(yScale.ticks.at(-1)) }),
    points.map((one) => [
      one.low === undefined ? null : s('line', { class: 'whisker', x1: px(one.x), x2: px(one.x), y1: py(one.low), y2: py(one.high) }),
      s('circle', { class: one.isFine === false ? 'point off' : one.isGuess ? 'point guess' : 'point', cx: px(one.x), cy: py(one.y), r: 5 }, s('title', {}, one.text)),
    ]),
    s('text', { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, 'text-anchor': 'middle', class: 'axis' }, x),
    s('text', { transform: `translate(12 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)`, 'text-anchor': 'middle', class: 'axis' }, y));
  return h('figure.figure', {}, h('figcaption', {}, title), drawing, h('details.small', {}, h('summary', {}, `${title}: as a table`), table(title, head, rows)));
}

function table(title, head, rows) {
  return h('div.scroll', { tabindex: '0', role: 'group', 'aria-label': title },
    h('table', {}, h('thead', {}, h('tr', {}, head.map((one) => h('th', { scope: 'col' }, one)))), h('tbody', {}, rows.map((row) => h('tr', {}, row.map((one) => h('td.number', {}, one)))))));
}

/** Decades from the least claim to one: rates of errors are small. */
function logScale(points) {
  const least = Math.floor(Math.log10(Math.min(0.01, ...points.map((one) => one.x))));
  const at = (value) => Math.max(0, 1 - Math.log10(Math.max(value, 10 ** least)) / least);
  return { at, ticks: Array.from({ length: 1 - least }, (_, i) => 10 ** (least + i)) };
}

export function inPercent(rate) {
  const value = 100 * rate;
  return `${value >= 10 || value === 0 ? Math.round(value) : Number(value.toPrecision(2))} %`;
}
