/** A video's answer in every format, as links that save a file. */

import { at, withQuery } from '../core/api.js';
import { h } from '../core/dom.js';
import { closesWithEscape } from '../core/keys.js';

const FORMATS = [
  ['xlsx', 'Table for Excel'], ['csv', 'Table (CSV)'], ['webvtt', 'Subtitles (WebVTT)'], ['srt', 'Subtitles (SRT)'],
  ['annotated', 'Video with names'], ['contact-sheet', 'Contact sheet (picture)'], ['json', 'Everything (JSON)'],
  ['turtle', 'Linked data (Turtle)'], ['jsonld', 'Linked data (JSON-LD)'], ['iiif', 'IIIF manifest'],
  ['eaf', 'ELAN'], ['otio', 'OpenTimelineIO'], ['edl', 'Edit list (EDL)'],
];

/** Make the menu. */
export function exportMenu(project, video) {
  const address = (format) => withQuery(at`projects/${project}/videos/${video}/export`, { format });
  const menu = h('details.menu', {},
    h('summary.button', {}, 'Export'),
    h('ul', {}, FORMATS.map(([format, title]) => h('li', {}, h('a', { href: address(format), download: '' }, title)))));
  closesWithEscape(menu, () => ((menu.open = false), menu.querySelector('summary').focus()));
  menu.addEventListener('focusout', (event) => menu.contains(event.relatedTarget) || (menu.open = false));
  return menu;
}
