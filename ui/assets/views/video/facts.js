/** What is known of a video besides who is in it: warnings, facts, and the catalogue's segments. */

import { h } from '../../core/dom.js';
import { clock } from '../../core/text.js';

/** Return what to show of a result; a click on a segment seeks. */
export function factsOf(result, seek) {
  const { video, model } = result;
  const { catalogue } = video;
  const rows = [
    ['Length', clock(video.duration_s, 1)], ['Pictures', `${video.width} × ${video.height}, ${video.fps.toFixed(2)} a second`],
    ['From', video.uri], ['Model', model.version ? `${model.version} (${model.classifier}, ${model.embedder})` : 'none is trained'],
    ['False names allowed', `${(100 * model.max_false_names).toLocaleString('en')} %${model.extrapolated ? ', beyond what data has checked' : ''}`],
    catalogue && ['Title', catalogue.titles.join(' · ')], catalogue && ['Date', catalogue.dates.join(', ')],
    catalogue && ['Channel', catalogue.channels.map((one) => one.name).join(', ')], catalogue && ['Genre', catalogue.genres.join(', ')],
    catalogue && ['Theme', catalogue.themes.join(', ')], catalogue && ['Rights', catalogue.rights.join(', ')],
  ].filter((row) => row && row[1]);
  return [
    video.warnings.length > 0 && h('div.card.warnings', {}, h('h2', {}, 'To know about this video'), h('ul', {}, video.warnings.map((one) => h('li', {}, one)))),
    h('details.card', {}, h('summary', {}, 'About this video'),
      h('dl.facts', {}, rows.map(([name, value]) => h('div', {}, h('dt.quiet', {}, name), h('dd', {}, h('bdi', {}, value)))))),
    catalogue?.segments.length > 0 && h('details.card', {}, h('summary', {}, `Segments of the catalogue (${catalogue.segments.length})`),
      h('ul', {}, catalogue.segments.map((one) => h('li', {}, h('button.link', { type: 'button', onclick: () => seek(one.start_s) }, clock(one.start_s)), ' ', h('bdi', {}, one.label)))))];
}
