/** Strangers as several views show them: their pictures, where they are seen, and how likely it is who they are. */

import { link } from './address.js';
import { at, get, served } from './api.js';
import { h } from './dom.js';
import { clock } from './text.js';

/** Appearances of one stranger that are read to be shown. */
const READ = 24;

/** Return the address of a moment of a video. */
export function scene(project, { video_id: video, track_id: track, start_s: start }) {
  return link('/video', { project, video, t: start.toFixed(2), track });
}

/** What a scene is called: "friends.mp4 · 0:04". */
export function sceneName({ video, start_s: start }) {
  return `${video} · ${clock(start)}`;
}

/** How likely something is, in words. */
export function likeliness(probability) {
  if (probability >= 0.9) return 'very likely';
  if (probability >= 0.6) return 'likely';
  return probability >= 0.25 ? 'perhaps' : 'hardly';
}

/**
 * Return the pictures of a stranger that tell most: the best of each video first, then others of them.
 *
 * @returns {Array<{url: string, track: object}>}
 */
export function bestPictures(stranger, most) {
  const kept = stranger.tracks.filter((one) => one.crop);
  const ofVideo = new Map();
  for (const track of kept) ofVideo.set(track.video_id, [...(ofVideo.get(track.video_id) ?? []), track]);
  const found = [];
  // The tracks are given the best first, and so are the pictures of each.
  for (let turn = 0; found.length < most && turn < kept.length; turn += 1) {
    for (const tracks of ofVideo.values()) if (tracks[turn]) found.push({ url: tracks[turn].crop, track: tracks[turn] });
  }
  for (let k = 1; found.length < most && kept.some((track) => track.pictures > k); k += 1) {
    for (const track of kept) if (track.pictures > k) found.push({ url: track.crop.replace(/0\.jpg$/, `${k}.jpg`), track });
  }
  return found.slice(0, most);
}

/** Return what is to be known of a name before it is given, as notes of its preview. */
export function notesOf({ perhaps, not_enrolled: unfit }) {
  const alike = perhaps.map((one) => one.label).join(', ');
  return [
    alike && h('p.small', {}, `Left as they are, and perhaps the same: ${alike}.`),
    unfit.length && h('p.small.warn-text', {}, 'No picture is good enough to be learned: only what you name here gets the name.'),
  ].filter(Boolean);
}

/** Read one stranger, and who they may be. */
export async function readStranger(project, id, signal) {
  const [stranger, candidates] = await Promise.all([
    get(at`projects/${project}/strangers/${id}`, { query: { shown: READ }, signal }),
    get(at`projects/${project}/strangers/${id}/candidates`, { signal }),
  ]);
  return { stranger, candidates };
}

/** Have pictures in the browser before they are shown. */
export function preload(urls) {
  for (const url of urls) if (url) new Image().src = served(url);
}
