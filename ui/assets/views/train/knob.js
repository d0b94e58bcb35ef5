/** The one knob: how many strangers may get a name. */

import { at, get, post } from '../../core/api.js';
import { fill, freshId, h } from '../../core/dom.js';
import { apply } from '../../core/edits.js';
import { lacks, may, project } from '../../core/session.js';
import { complain } from '../../core/toast.js';
import { showPreview } from '../../elements/change.js';
import { followJob } from '../../elements/jobs.js';
import { inPercent } from '../../elements/plot.js';
import { limitSentence } from './figures.js';

/** Draw it for the version that names; `claims` are what it claims at each step, and what a step would change is shown in `told`. */
export function knob(claims, signal, told) {
  const steps = claims.claims;
  const now = Math.max(0, steps.findIndex((one) => one.claimed === claims.max_false_names));
  const id = freshId('limit');
  const sentence = h('output.sentence', { for: id });
  const notes = h('p.quiet', { role: 'status' });
  const preview = h('button', { type: 'button', onclick: () => show() }, 'Show what that changes');
  const slider = h('input', { type: 'range', id, min: '0', max: String(steps.length - 1), step: '1', value: String(now), oninput: () => (say(), fill(told)) });
  slider.setAttribute('aria-describedby', (notes.id = freshId('note')));

  const chosen = () => steps[Number(slider.value)];
  function say() {
    const one = chosen();
    const text = limitSentence(one.claimed);
    sentence.textContent = text[0].toUpperCase() + text.slice(1) + '.';
    slider.setAttribute('aria-valuetext', text);
    fill(notes, `Of the faces of enrolled people, about ${inPercent(one.named)} would get their name.`,
      one.is_extrapolated && h('strong.warn-text', {}, ' This claim is estimated: too few strangers are known to check it.'));
    preview.disabled = Number(slider.value) === now;
  }
  /** Ask what it would change; of a large archive a job finds that out. */
  async function show() {
    const { claimed } = chosen();
    preview.disabled = true;
    try {
      const change = await settled(await post(at`projects/${project()}/identify`, undefined, { query: { max_false_names: claimed, preview: true } }));
      if (chosen().claimed !== claimed) return;
      showPreview(told, change, {
        title: sentence.textContent, signal, onapply: () => set(claimed, change.version), oncancel: () => ((slider.value = now), say(), fill(told)),
        disabled: may('curate') ? null : lacks('curate'),
      });
    } catch (error) {
      complain(error);
    } finally {
      preview.disabled = false;
    }
  }
  async function set(claimed, version) {
    fill(told, h('p.quiet', { role: 'status' }, 'Naming the archive again…'));
    await apply(`Now ${limitSentence(claimed)}`, async () => settled(await post(at`projects/${project()}/identify`, undefined, { query: { max_false_names: claimed, expect: version } })));
  }
  async function settled(answer) {
    if (!answer.job_id) return answer;
    const job = await followJob(told, answer.job_id, signal);
    if (job.state !== 'succeeded') throw Object.assign(new Error(job.error ?? `The job was ${job.state}.`), { status: 409 });
    return get(at`jobs/${answer.job_id}/result`, { signal });
  }
  say();
  if (!may('curate')) {
    preview.disabled = true;
    preview.title = lacks('curate');
    slider.addEventListener('input', () => (preview.disabled = true));
  }
  return h('section.card.stack', { 'aria-label': 'How sure a name must be' },
    h('h2', {}, 'How sure a name must be'),
    h('label.quiet.plain', { for: id }, 'Stricter to the left: fewer wrong names, and fewer names.'),
    slider, sentence, notes, h('div.row', {}, preview, !may('curate') && h('span.quiet.small', {}, lacks('curate'))));
}
