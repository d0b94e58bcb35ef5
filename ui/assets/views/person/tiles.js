/** What the tiles of a person's pictures and appearances show. */

import { link } from '../../core/address.js';
import { h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { certainty, clock, length } from '../../core/text.js';
import { toast } from '../../core/toast.js';
import { face } from '../../elements/face.js';
import { plainReason } from '../../elements/reasons.js';

export const STATUSES = { taken: 'learned from', disabled: 'set aside', refused: 'refused' };

/** A picture, which a click sets aside or learns from: `onswitch`. `odd` is why it seems to show another person. */
export function pictureTile(one, odd, onswitch) {
  const isOdd = odd !== null;
  const isOn = one.status === 'taken';
  const name = one.path.split('/').at(-1);
  const why = isOdd ? odd : one.reason;
  const closed = one.crop === null ? `No face can be learned from it${why ? `: ${why}` : ''}` : may('curate') ? null : lacks('curate');
  const pick = h('button.pick', {
    type: 'button', class: isOdd ? 'odd' : one.status, 'aria-pressed': String(isOn), 'aria-disabled': closed ? 'true' : null,
    'aria-label': `${name}: ${STATUSES[one.status]}${why ? `, ${plainReason(why)}` : ''}`, title: closed ?? `${isOn ? 'Click to set it aside' : 'Click to learn from it'}${why ? `. ${why}` : ''}`,
    onclick: () => (closed ? toast(closed) : onswitch()),
  },
    face(one.crop, ''),
    h('span.pick-state.small', { 'aria-hidden': 'true' }, isOdd ? 'not them?' : isOn ? '' : STATUSES[one.status]));
  return [pick, why && h('span.quiet.small.why', { title: why }, plainReason(why))];
}

/** An appearance, which leads to its video. */
export function momentTile(one, { where, person, identity }, onreject) {
  const { video_id: video, video: name, start_s: start, end_s: end, probability, crop, confirmed } = one;
  const sure = confirmed
    ? h('span.confirmed', { title: 'You or a colleague confirmed it' }, '✓ confirmed')
    : h('span.number', { title: 'How certain the name is' }, certainty(probability));
  return [
    h('a', { href: link('/video', { project: where, video, t: start.toFixed(2), person }) },
      face(crop, ''),
      h('span.clip.moment-name', { title: name }, h('bdi', {}, name)),
      h('span.quiet.small', {}, h('span.number', {}, clock(start)), ' · ', h('span.number', {}, length(end - start)), ' · ', sure)),
    h('button.link.small', {
      type: 'button', ...(may('curate') ? {} : { disabled: true, title: lacks('curate') }),
      onclick: onreject, 'aria-label': `Not ${identity}: ${name} at ${clock(start)}`,
    }, 'Not this person'),
  ];
}
