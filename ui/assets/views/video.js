/** One video: who is in it, when, and on what evidence; player, lanes and list always show the same moment. */

import { link, note, params } from '../core/address.js';
import { at, get, post } from '../core/api.js';
import { colourOf, coloursOf } from '../core/colours.js';
import { fill, h } from '../core/dom.js';
import { edits } from '../core/edits.js';
import { lacks, may, project } from '../core/session.js';
import { certainty, clock, count, length } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { Tracks } from '../core/tracks.js';
import { empty, View } from '../core/view.js';
import { face } from '../elements/face.js';
import { nameField } from '../elements/name_field.js';
import '../elements/lanes.js';
import '../elements/player.js';
import '../elements/rows.js';
import { exportMenu } from '../elements/export_menu.js';
import { decide } from '../core/decisions.js';
import { isActive } from '../elements/jobs.js';
import { Corrections } from './video/corrections.js';
import { Detail } from './video/detail.js';
import { factsOf } from './video/facts.js';
import { Filters } from './video/filters.js';
import { Hover } from './video/hover.js';
import { Playback } from './video/playback.js';
import { Running } from './video/running.js';

const ROW_PX = 56;
const ADDRESS_MS = 400;
// Hidden strangers of one video that are known of.
const MOST_HIDDEN = 1000;

class VideoView extends View {
  async build() {
    this.where = project();
    this.videoId = params().video;
    if (!this.videoId) {
      fill(this, h('h1.hidden-text', {}, 'Video'), empty('No video is chosen', 'Choose one from the list of videos.', h('a.button', { href: link('/', { project: this.where }) }, 'Videos')));
      return;
    }
    this.switchedOff = new Set();
    this.chosen = null;
    this.running = this.seen = this.result = this.analysis = this.limit = null;
    this.hiddenStrangers = new Set();
    // Read before anything is shown, which is written there.
    this.beginsAt = Number(params().t ?? 0) || 0;
    const [video, job] = await Promise.all([get(this.at``, { signal: this.signal }), this.job()]);
    this.video = video;
    document.title = `${video.name} · FaceRec`;
    this.layOut();
    if (video.analysed) await this.read();
    if (job && isActive(job)) await this.followJob(job);
    else if (!video.analysed) this.showWork(h('p', {}, job?.error ? `It was not analysed: ${job.error}` : 'It is not analysed.'), job && this.retry(job));
    await this.playback.play();
  }

  /** An address below the video's. */
  at(parts, ...values) {
    return at`projects/${this.where}/videos/${this.videoId}` + parts.reduce((sum, part, i) => sum + (i ? encodeURIComponent(values[i - 1]) : '') + part, '');
  }

  async job() {
    const jobs = await get(at`jobs`, { query: { project: this.where }, signal: this.signal });
    return jobs.filter((one) => one.video_id === this.videoId && one.kind === 'video').at(-1) ?? null;
  }

  layOut() {
    this.player = h('fr-player');
    this.lanes = h('fr-lanes');
    this.rows = h('fr-rows', { 'aria-label': 'Appearances' });
    this.rows.rowHeight = ROW_PX;
    this.rows.make = (one) => this.rowOf(one);
    this.rows.keyOf = (one) => one.track_ids[0];
    this.work = h('div');
    this.playback = new Playback(this);
    this.corrections = new Corrections(this.where, this.videoId);
    this.detail = new Detail(this, this.corrections);
    this.filters = new Filters({ onfilter: () => this.drawPeople(), onlimit: (limit) => this.setLimit(limit), isHidden: (one) => this.isHidden(one) });
    this.filters.element.hidden = true;
    this.hover = new Hover(this);
    this.summary = h('p.quiet');
    this.facts = h('div.stack');
    fill(this,
      h('div.head', {},
        h('a', { href: link('/', { project: this.where }) }, 'Videos'), h('span.quiet', { 'aria-hidden': 'true' }, '/'),
        h('h1', {}, h('bdi', {}, this.video.name)),
        h('div.row.end', {}, h('button', { type: 'button', onclick: () => this.copyLink() }, 'Copy link'), exportMenu(this.where, this.videoId))),
      this.work,
      h('div.watch', {},
        h('div.stack.watch-left', {}, this.player, this.lanes),
        h('div.stack.watch-right', {}, this.summary, this.filters.element, this.rows, this.detail.element)),
      this.facts, this.hover.card);
    this.wire();
  }

  wire() {
    this.player.describe = (id) => this.describe(id);
    this.listen(this.player, 'time', ({ detail }) => this.wasShown(detail));
    this.listen(this.player, 'pick', ({ detail }) => this.choose(this.ofTrack.get(detail)));
    this.listen(this.player, 'rename', ({ detail }) => this.nameInPicture(detail));
    this.listen(this.player, 'asked', () => this.rows.focus());
    this.listen(this.player, 'unplayable', () => this.playback.make());
    this.listen(this.lanes, 'seek', ({ detail }) => this.player.seek(detail));
    this.listen(this.lanes, 'choose', ({ detail }) => this.choose(detail));
    this.listen(this.lanes, 'legend', ({ detail }) => this.switchLane(detail));
    this.listen(this.rows, 'choose', ({ detail }) => this.go(detail));
    this.listen(this.rows, 'open', () => this.detail.focus());
    this.listen(this.rows, 'mark', () => this.drawDetail());
    this.listen(edits, 'edit', () => this.read().catch(complain));
    this.bind('Video', [
      { keys: [' '], does: 'Play or pause', run: () => this.player.toggle() },
      { keys: ['ArrowLeft'], does: 'One second back', run: () => this.player.seek(this.player.time - 1) },
      { keys: ['ArrowRight'], does: 'One second on', run: () => this.player.seek(this.player.time + 1) },
      { keys: ['j'], does: 'Next appearance of this person', run: () => this.step(1) },
      { keys: ['k'], does: 'Previous appearance of this person', run: () => this.step(-1) },
      { keys: [',', '<'], does: 'To the shot before', run: () => this.toShot(-1) },
      { keys: ['.', '>'], does: 'To the next shot', run: () => this.toShot(1) },
      { keys: ['Enter'], does: 'Name who is chosen, or all that are marked', run: () => this.detail.focus() },
      { keys: ['r'], does: 'Name who is chosen in the picture (as two clicks on the box do)', run: () => this.nameInPicture() },
      { keys: ['y'], does: 'Yes, the name is right', run: () => this.confirm() },
      { keys: ['n'], does: 'Not this person', run: () => this.deny() },
      { keys: ['x'], does: 'Mark, to answer for several at once (a click with Shift marks all from there on)', run: () => this.chosen && this.result && this.rows.toggleMark(this.chosen) },
      { keys: ['h'], does: 'Hide this stranger from lists, or show them again', run: () => this.hideStranger() },
      { keys: ['c'], does: 'Copy a link to this moment', run: () => this.copyLink() },
      { keys: ['Escape'], does: 'Mark none, then choose nobody', run: () => (this.rows.marks.size ? this.rows.clearMarks() : this.choose(null)) },
    ]);
  }

  /** Read who is in the video, and where: the boxes of an analysis never change, names do. */
  async read() {
    let result, strangers;
    const { signal } = this;
    try {
      [result, strangers] = await Promise.all([
        get(this.at`/result`, { query: { samples: false }, signal }),
        get(at`projects/${this.where}/strangers`, { query: { video_id: this.videoId, hidden: true, shown: 1, limit: MOST_HIDDEN }, signal }),
      ]);
    } catch (error) {
      if (error.status !== 404 && error.status !== 409) throw error;
      this.showWork(h('p', {}, error.message));
      return;
    }
    this.hiddenStrangers = new Set(strangers.items.filter((one) => one.hidden).map((one) => one.stranger));
    if (result.analysis_id !== this.analysis) {
      // Numbers of another analysis are other faces.
      this.rows.items = [];
      const boxes = await get(this.at`/boxes/${result.analysis_id}`, { signal });
      this.player.tracks = new Tracks(boxes, result.tracks);
      this.analysis = result.analysis_id;
    }
    this.running?.end();
    this.running = null;
    this.result = result;
    this.limit ??= result.model.max_false_names;
    fill(this.work);
    this.decideAgain();
    fill(this.facts, factsOf(this.result, (time) => this.player.seek(time)));
  }

  /** Work out who everybody is at the limit of the slider, and show it everywhere. */
  decideAgain() {
    const { appearances, tracks, model } = this.result;
    const chosen = this.chosen;
    this.all = decide(appearances, tracks, this.limit, model.max_false_names);
    this.ofTrack = new Map(this.all.flatMap((one) => one.track_ids.map((id) => [id, one])));
    const next = chosen ? this.ofTrack.get(chosen.track_ids[0]) : this.wanted();
    this.colours = coloursOf(appearances.flatMap((one) => [one.person_id, one.stranger]));
    if (next && !chosen && params().t === undefined) this.beginsAt = next.start_s;
    this.hover.leave();
    this.drawPeople();
    this.choose(next ?? null, { isQuiet: true });
  }

  setLimit(limit) {
    this.limit = limit;
    this.decideAgain();
  }

  /** Whom the address names: a face, or the scene of a person or stranger that is nearest to the time. */
  wanted() {
    const { track, person } = params();
    if (this.ofTrack.has(Number(track))) return this.ofTrack.get(Number(track));
    const far = (one) => Math.max(one.start_s - this.beginsAt, this.beginsAt - one.end_s, 0);
    return person && this.all.filter((one) => keyOf(one) === person).sort((one, other) => far(one) - far(other))[0];
  }

  isHidden(one) {
    return this.hiddenStrangers.has(one.stranger);
  }

  colourOf(one) {
    const id = one.person_id ?? one.stranger;
    return this.colours.get(id) ?? colourOf(id);
  }

  isListed(one) {
    return this.filters.passes(one) && !this.switchedOff.has(keyOf(one));
  }

  /** Draw what depends on who is shown: lanes, list, boxes. */
  drawPeople() {
    if (!this.result) return void this.running?.drawPeople();
    this.filters.element.hidden = false;
    this.filters.draw(this.all, this.limit, this.result.model.max_false_names);
    const lanes = new Map();
    for (const one of this.all) {
      if (!this.filters.passes(one)) continue;
      const key = keyOf(one);
      if (!lanes.has(key)) lanes.set(key, { key, label: one.label, colour: this.colourOf(one), isShown: !this.switchedOff.has(key), screenS: 0, appearances: [] });
      const lane = lanes.get(key);
      lane.appearances.push(one);
      lane.screenS += one.end_s - one.start_s;
    }
    const rank = ({ appearances: [first] }) => ['named', 'unknown', 'undecidable'].indexOf(first.decision);
    this.lanes.lanes = [...lanes.values()].sort((a, b) => rank(a) - rank(b) || b.screenS - a.screenS);
    this.lanes.end = this.result.video.duration_s;
    this.lanes.cuts = this.result.shots.slice(1).map(([start]) => start);
    this.lanes.draw();
    this.rows.items = this.all.filter((one) => this.isListed(one));
    this.player.again();
    const { coverage } = this.result;
    const people = new Set(this.all.filter((one) => one.person_id).map((one) => one.person_id)).size;
    const strangers = new Set(this.all.filter((one) => one.stranger && !one.person_id).map((one) => one.stranger)).size;
    this.summary.textContent = this.all.length
      ? `${count(people, 'person', 'people')} and ${count(strangers, 'stranger')}. A face is in view for ${length(coverage.face_s)} of ${length(this.result.video.duration_s)}.`
      : 'No face was found in this video.';
  }

  rowOf(one) {
    return [
      h('span.dot', { style: { background: this.colourOf(one) } }),
      h('div.row-face', {}, face(one.evidence.crops[0]?.url)),
      h('div.grow', {},
        h('div.clip', {}, h('bdi', {}, one.label), one.confirmed ? h('span.quiet.small', {}, ' · confirmed') : null, one.isChanged ? h('span.quiet.small', {}, ' · at this limit') : null),
        h('div.quiet.small.clip', {}, `${clock(one.start_s, 1)} – ${clock(one.end_s, 1)}${one.person_id && !one.confirmed ? ` · ${certainty(one.probability)}` : ''}${one.reason && !one.person_id ? ` · ${one.reason}` : ''}`)),
    ];
  }

  describe(id) {
    const one = this.ofTrack?.get(id);
    return one ? { label: one.label, colour: this.colourOf(one), isShown: this.isListed(one) } : { label: '', colour: '#888', isShown: false };
  }

  /** Go to an appearance, and choose it. */
  go(one) {
    this.choose(one);
    this.player.seek(one.start_s);
    // A reload at once comes back here, too.
    clearTimeout(this.noting);
    this.beginsAt = one.start_s;
    note({ t: one.start_s.toFixed(2) });
  }

  choose(one, { isQuiet = false } = {}) {
    this.chosen = one;
    this.lanes.chosen = one;
    this.lanes.paint();
    this.rows.choose(one);
    this.player.chosen = one && !isQuiet ? (one.track_ids.find((id) => this.player.pool.has(id)) ?? one.track_ids[0]) : (one?.track_ids[0] ?? null);
    this.player.again();
    // Numbers of what is not final lead to nobody later.
    if (!isQuiet && this.result) note({ track: one?.track_ids[0], person: one?.person_id ?? one?.stranger });
    this.drawDetail();
  }

  drawDetail() {
    // Of what is not final there is no evidence yet, and nothing to correct.
    this.detail.show(this.result ? this.meant : []);
  }

  /** What a key or a button is about: all that are marked, or who is chosen. */
  get meant() {
    const { marked } = this.rows;
    return marked.length ? marked : [this.chosen].filter(Boolean);
  }

  name(ones, given, query = {}) {
    this.rows.focus();
    return this.settle(ones, this.corrections.name(ones, given, query));
  }

  confirm(ones = this.meant) {
    return this.result && this.settle(ones, this.corrections.confirm(ones));
  }

  deny(ones = this.meant) {
    return this.result && this.settle(ones, this.corrections.deny(ones));
  }

  hideStranger(ones = this.meant) {
    return this.result && this.settle(ones, this.corrections.hide(ones, !ones.every((one) => !one.stranger || this.isHidden(one))));
  }

  /** Of those that an edit was about, no mark is left; where it was refused, all are. */
  async settle(ones, edit) {
    if (this.rows.marks.size && ones.length && (await edit)) this.rows.clearMarks();
  }

  /** Ask for a name where the face is in the picture. */
  nameInPicture(track = null) {
    const one = track === null ? this.chosen : this.ofTrack.get(track);
    if (!one || !this.result) return;
    if (!may('curate')) return void toast(lacks('curate'), { tone: 'wrong' });
    const id = track ?? one.track_ids.find((each) => this.player.pool.has(each));
    if (id === undefined) return void toast('This face is not in the picture now: J and K lead to it.');
    this.player.ask(id, nameField(`Name of ${one.label} in the picture`, { placeholder: one.person_id ? 'Another name' : 'Who is this?', about: () => [one], onname: ({ about, ...given }) => this.name(about, given) }));
  }

  toShot(by) {
    if (!this.result) return;
    const starts = this.result.shots.map(([start]) => start);
    const i = starts.findLastIndex((start) => start <= this.player.time + 0.01);
    // Back within a shot leads to its beginning, as in every player.
    const to = by > 0 ? starts[i + 1] : this.player.time - starts[i] > 1 ? starts[i] : starts[i - 1];
    if (to !== undefined) this.player.seek(to);
  }

  /** Go to the next appearance of who is chosen, or of anybody. */
  step(by) {
    const own = this.chosen ? this.all.filter((one) => keyOf(one) === keyOf(this.chosen)) : this.rows.items;
    const i = this.chosen ? own.indexOf(this.chosen) + by : by > 0 ? 0 : own.length - 1;
    if (own[i]) this.go(own[i]);
  }

  switchLane({ key, only }) {
    const keys = this.lanes.lanes.map((lane) => lane.key);
    const isAlone = keys.every((one) => this.switchedOff.has(one) === (one !== key));
    if (only) this.switchedOff = isAlone ? new Set() : new Set(keys.filter((one) => one !== key));
    else if (!this.switchedOff.delete(key)) this.switchedOff.add(key);
    this.drawPeople();
  }

  /** A frame is shown: lanes and list follow, and soon the address. */
  wasShown(time) {
    this.lanes.at(time);
    if (!this.player.view) return;
    this.beginsAt = time;
    clearTimeout(this.noting);
    this.noting = setTimeout(() => this.isConnected && this.video && params().video === this.videoId && note({ t: time.toFixed(2) }), ADDRESS_MS);
  }

  async copyLink() {
    const address = new URL(link('/video', { project: this.where, video: this.videoId, t: this.player.time.toFixed(2), track: this.chosen?.track_ids[0] }), location.href).href;
    try {
      await navigator.clipboard.writeText(`${this.video.name}, ${this.player.shownTime}: ${address}`);
      toast(`Copied the link to ${this.player.shownTime}`);
    } catch {
      toast(`This browser lets nothing be copied: ${address}`, { tone: 'wrong' });
    }
  }

  /** What is known of the frames: their size, and when they begin. */
  get frames() {
    return this.result?.video ?? this.seen;
  }

  showWork(...children) {
    fill(this.work, h('div.card.stack.working', { role: 'status' }, ...children));
  }

  retry(job) {
    return h('button', { type: 'button', disabled: !may('curate'), title: may('curate') ? null : lacks('curate'), onclick: () => post(at`jobs/${job.job_id}/retry`).then((again) => this.followJob(again), complain) }, 'Retry');
  }

  /** Show how far a job is, and what it has found, until its end; a page that is loaded again comes back to it. */
  async followJob(job) {
    this.running = new Running(this, job);
    await this.running.read();
    this.running.follow();
  }

  /** The job has ended. */
  async hasEnded(job) {
    if (job.state !== 'succeeded') return this.showWork(h('p', {}, job.state === 'cancelled' ? 'Cancelled.' : `It failed: ${job.error}`), this.retry(job));
    // Whoever watches it already goes on watching.
    const isPlayed = this.seen || this.result;
    await this.read();
    if (!isPlayed) await this.playback.play();
  }

  moved() {
    if (params().video === this.videoId && project() === this.where && this.result) {
      if (params().t !== undefined) this.player.seek(Number(params().t));
      return;
    }
    this.analysis = null;
    this.result = null;
    this.ending.abort();
    this.ending = new AbortController();
    this.start();
  }
}

/** Who an appearance is of, for lanes: a person, a stranger, or all that are undecidable. */
function keyOf(one) {
  return one.person_id ?? one.stranger ?? 'undecidable';
}

customElements.define('fr-video-view', VideoView);
