/** What a name rests on: the face as it is in the video, beside the enrolled faces that it is nearest to. */

import { at } from '../core/api.js';
import { h } from '../core/dom.js';
import { certainty, clock, oneIn } from '../core/text.js';
import { face } from './face.js';

const SHOWN = 3;

/** Why an appearance is who it is, as a sentence. */
export function because(view, limit) {
  const { evidence } = view;
  if (view.confirmed) return 'You or a colleague confirmed it.';
  if (view.person_id) return `Of strangers, ${oneIn(view.false_name_rate)} would come as near to an enrolled person.`;
  if (view.stranger) {
    if (evidence.told_apart) return `Nobody enrolled: told apart from ${named(evidence.told_apart)}, who is nearest.`;
    return evidence.runner_up
      ? `Nobody enrolled. ${named(evidence.runner_up.person_id)} is nearest, and not near enough: ${oneIn(view.false_name_rate)} strangers would be as near, and ${oneIn(limit)} may.`
      : 'Nobody enrolled.';
  }
  return `Not sure: ${view.reason ?? 'it cannot be decided'}.`;
}

/**
 * Draw it.
 *
 * @param {(near: object, identity: string) => void} [setAside] Called with an enrolled picture that is not to be learned from.
 */
export function evidenceOf(view, project, limit, setAside = null) {
  const { crops, nearest, runner_up: runnerUp, margin, note } = view.evidence;
  const of = enrolledOf(view);
  const aside = (near) => setAside && h('button.bare.set-aside', { type: 'button', title: 'Set this picture aside: names are then found without it', 'aria-label': `Set the picture of ${of} aside`, onclick: () => setAside(near, of) }, '×');
  return h('div.evidence.stack', {},
    h('p', {}, because(view, limit)),
    h('div.pairs', {},
      column('In this video', crops.slice(0, SHOWN).map((crop) => picture(crop.url, clock(crop.time_s, 1), `The face at ${clock(crop.time_s, 1)}`))),
      column(`Enrolled: ${of}`, nearest.slice(0, SHOWN).map((near) =>
        picture(faceAddress(project, near.face_id), alike(near), `An enrolled picture of ${of}`, aside(near))))),
    runnerUp && view.person_id && h('p.quiet.small', {}, 'Next nearest is ', h('bdi', {}, named(runnerUp.person_id)), margin === null ? '' : `, further away by ${margin.toFixed(3)}`, '.'),
    view.person_id && !view.confirmed && h('p.quiet.small', {}, `Probability ${certainty(view.probability)}.`),
    note && h('p.quiet.small', {}, note));
}

/** Draw the most telling of it, small. */
export function glanceOf(view, project, limit) {
  const { crops: [crop], nearest: [near], runner_up: runnerUp, margin } = view.evidence;
  return [
    h('div.strong.clip', {}, h('bdi', {}, view.label), view.person_id && !view.confirmed ? h('span.quiet.small', {}, ` ${certainty(view.probability)}`) : null),
    h('div.faces', {}, crop && picture(crop.url, clock(crop.time_s, 1), ''), near && picture(faceAddress(project, near.face_id), `enrolled, ${alike(near)}`, '')),
    h('p.small', {}, because(view, limit)),
    runnerUp && view.person_id && margin !== null && h('p.quiet.small', {}, `${named(runnerUp.person_id)} is further away by ${margin.toFixed(3)}.`)];
}

function enrolledOf(view) {
  return view.person_id ? named(view.person_id) : 'the nearest person enrolled';
}

function alike(near) {
  return near.similarity.toFixed(3).replace(/^(-?)0/, '$1');
}

function column(title, pictures) {
  return h('div.stack', {}, h('h3.small', {}, title), pictures.length ? h('div.faces', {}, pictures) : h('p.quiet.small', {}, 'No picture is kept.'));
}

function picture(url, text, alt, action = null) {
  return h('figure', {}, face(url, alt), action, h('figcaption.small.quiet', {}, text));
}

function faceAddress(project, id) {
  return at`projects/${project}/faces/${id}`.replace('/fr', '') + '.jpg';
}

function named(personId) {
  return personId.replaceAll('_', ' ');
}

