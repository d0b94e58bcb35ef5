/** One video: who is in it, when, and on what evidence; player, lanes and list always show the same moment. */

import { link, note, params } from '../core/address.js';
import { at, get, post, served } from '../core/api.js';
import { colourOf, coloursOf } from '../core/colours.js';
import { fill, h } from '../core/dom.js';
import { apply, edits } from '../core/edits.js';
import { lacks, may, project } from '../core/session.js';
import { certainty, clock, count, length, percent } from '../core/text.js';
import { complain, toast } from '../core/toast.js';
import { Tracks } from '../core/tracks.js';
import { empty, loading, View } from '../core/view.js';
import { evidenceOf } from '../elements/evidence.js';
import { face } from '../elements/face.js';
import { nameField } from '../elements/name_field.js';
import '../elements/lanes.js';
import '../elements/player.js';
import '../elements/rows.js';
import { exportMenu } from '../elements/export_menu.js';
import { decide, LIMITS } from '../core/decisions.js';
import { isActive } from '../elements/jobs.js';
import { factsOf } from './video/facts.js';
import { Running } from './video/running.js';

const POLL_MS = 1000;
const ROW_PX = 56;
const ADDRESS_MS = 400;
const KINDS = [['named', 'Named'], ['unknown', 'Unknown'], ['undecidable', 'Not sure']];

class VideoView extends View {
  filter = { kinds: [], least: 0 };

  async build() {
    this.where = project();
    this.videoId = params().video;
    if (!this.videoId) {
      fill(this, h('h1.hidden-text', {}, 'Video'), empty('No video is chosen', 'Choose one from the list of videos.', h('a.button', { href: link('/', { project: this.where }) }, 'Videos')));
      return;
    }
    this.switchedOff = new Set();
    this.chosen = null;
    this.running = this.seen = this.playback = this.result = this.analysis = null;
    this.limit = null;
    // Read before anything is shown, which is written there.
    this.beginsAt = Number(params().t ?? 0) || 0;
    const [video, job] = await Promise.all([get(this.at``, { signal: this.signal }), this.job()]);
    this.video = video;
    document.title = `${video.name} · FaceRec`;
    this.layOut();
    if (video.analysed) await this.read();
    if (job && isActive(job)) await this.followJob(job);
    else if (video.analysed) return void (await this.play());
    else this.showWork(h('p', {}, job?.error ? `It was not analysed: ${job.error}` : 'It is not analysed.'), job && this.retry(job));
    await this.play();
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
    this.work = h('div');
    this.detail = h('section.card.detail', { 'aria-label': 'Evidence', hidden: true });
    this.summary = h('p.quiet');
    this.filters = h('div.row.filters');
    this.facts = h('div.stack');
    fill(this,
      h('div.head', {},
        h('a', { href: link('/', { project: this.where }) }, 'Videos'), h('span.quiet', { 'aria-hidden': 'true' }, '/'),
        h('h1', {}, h('bdi', {}, this.video.name)),
        h('div.row.end', {}, h('button', { type: 'button', onclick: () => this.copyLink() }, 'Copy link'), exportMenu(this.where, this.videoId))),
      this.work,
      h('div.watch', {},
        h('div.stack.watch-left', {}, this.player, this.lanes),
        h('div.stack.watch-right', {}, this.summary, this.filters, this.rows, this.detail)),
      this.facts);
    this.wire();
  }

  wire() {
    this.player.describe = (id) => this.describe(id);
    this.listen(this.player, 'time', ({ detail }) => this.wasShown(detail));
    this.listen(this.player, 'pick', ({ detail }) => this.choose(this.ofTrack.get(detail)));
    this.listen(this.player, 'unplayable', () => this.makePlayable());
    this.listen(this.lanes, 'seek', ({ detail }) => this.player.seek(detail));
    this.listen(this.lanes, 'choose', ({ detail }) => this.choose(detail));
    this.listen(this.lanes, 'legend', ({ detail }) => this.switchLane(detail));
    this.listen(this.rows, 'choose', ({ detail }) => this.go(detail));
    this.listen(this.rows, 'open', () => this.player.toggle());
    this.listen(edits, 'edit', () => this.read());
    this.bind('Video', [
      { keys: [' '], does: 'Play or pause', run: () => this.player.toggle() },
      { keys: ['ArrowLeft'], does: 'One second back', run: () => this.player.seek(this.player.time - 1) },
      { keys: ['ArrowRight'], does: 'One second on', run: () => this.player.seek(this.player.time + 1) },
      { keys: ['j'], does: 'Next appearance of this person', run: () => this.step(1) },
      { keys: ['k'], does: 'Previous appearance of this person', run: () => this.step(-1) },
      { keys: ['Enter'], does: 'Name who is chosen', run: () => this.nameChosen() },
      { keys: ['n'], does: 'Not this person', run: () => this.deny() },
      { keys: ['h'], does: 'Hide this stranger from lists', run: () => this.hideStranger() },
      { keys: ['c'], does: 'Copy a link to this moment', run: () => this.copyLink() },
      { keys: ['Escape'], does: 'Choose nobody', run: () => this.choose(null) },
    ]);
  }

  /** Read who is in the video, and where: the boxes of an analysis never change, names do. */
  async read() {
    let result;
    try {
      result = await get(this.at`/result`, { query: { samples: false }, signal: this.signal });
    } catch (error) {
      if (error.status !== 404 && error.status !== 409) throw error;
      this.showWork(h('p', {}, error.message));
      return;
    }
    if (result.analysis_id !== this.analysis) {
      const boxes = await get(this.at`/boxes/${result.analysis_id}`, { signal: this.signal });
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
    const key = chosen ? chosen.track_ids[0] : Number(params().track) || null;
    this.colours = coloursOf(appearances.flatMap((one) => [one.person_id, one.stranger]));
    this.drawFilters();
    this.drawPeople();
    this.choose(key === null ? null : (this.ofTrack.get(key) ?? null), { isQuiet: true });
  }

  colourOf(one) {
    const id = one.person_id ?? one.stranger;
    return this.colours.get(id) ?? colourOf(id);
  }

  isListed(one) {
    return this.passes(one) && !this.switchedOff.has(keyOf(one));
  }

  /** Whether the filters of the address show an appearance; they are read once for all. */
  passes({ decision, start_s: start, end_s: end }) {
    return !this.filter.kinds.includes(decision) && end - start >= this.filter.least;
  }

  kindsHidden() {
    return (params().hide ?? '').split(',').filter(Boolean);
  }

  /** Draw what depends on who is shown: lanes, list, boxes. */
  drawPeople() {
    if (!this.result) return void this.running?.drawPeople();
    this.filter = { kinds: this.kindsHidden(), least: Number(params().least ?? 0) };
    const lanes = new Map();
    for (const one of this.all) {
      if (!this.passes(one)) continue;
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

  drawFilters() {
    const kinds = this.kindsHidden();
    const counts = Object.fromEntries(KINDS.map(([kind]) => [kind, this.all.filter((one) => one.decision === kind).length]));
    const toggle = (kind) => {
      const next = kinds.includes(kind) ? kinds.filter((one) => one !== kind) : [...kinds, kind];
      note({ hide: next.join(',') });
      this.drawFilters();
      this.drawPeople();
    };
    const i = Math.max(0, LIMITS.findIndex((one) => one >= this.limit - 1e-9));
    const text = (limit) => `${(100 * limit).toLocaleString('en', { maximumFractionDigits: 1 })} %`;
    const shown = h('output', {}, text(this.limit));
    const slider = h('input', {
      type: 'range', min: '0', max: String(LIMITS.length - 1), value: String(i), 'aria-label': 'Strangers who may get a name, of 100', 'aria-valuetext': text(this.limit),
      oninput: () => {
        this.limit = LIMITS[Number(slider.value)];
        shown.textContent = text(this.limit);
        slider.setAttribute('aria-valuetext', text(this.limit));
        clearTimeout(this.sliding);
        this.sliding = setTimeout(() => this.decideAgain(), 0);
      },
    });
    if (this.slider?.isConnected) {
      this.slider.shown.textContent = text(this.limit);
    } else {
      this.slider = h('label.row.small', { title: 'How many of 100 strangers may get a name that is not theirs. Shown here at once; nothing is changed.' }, 'False names allowed', slider, shown);
      this.slider.shown = shown;
    }
    fill(this.filters,
      KINDS.map(([kind, title]) => h('button.small', { type: 'button', 'aria-pressed': String(!kinds.includes(kind)), onclick: () => toggle(kind) }, `${title} ${counts[kind]}`)),
      this.slider,
      Math.abs(this.limit - this.result.model.max_false_names) > 1e-9 && h('button.link.small', { type: 'button', onclick: () => ((this.limit = this.result.model.max_false_names), this.slider.remove(), this.decideAgain()) }, 'Back'));
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
    const one = this.result ? this.chosen : null;
    this.detail.hidden = !one;
    if (!one) return;
    const mayEdit = may('curate');
    const tip = mayEdit ? null : lacks('curate');
    this.field = nameField('Who is this?', {
      placeholder: one.person_id ? 'Another name' : 'Who is this?',
      about: () => one,
      onname: (name) => this.name(name),
    });
    const url = one.person_id ? link('/person', { project: this.where, person: one.person_id }) : one.stranger ? link('/strangers', { project: this.where, stranger: one.stranger }) : null;
    fill(this.detail,
      h('div.row', {}, h('span.dot', { style: { background: this.colourOf(one) } }), h('h2.grow', {}, h('bdi', {}, one.label)), url && h('a', { href: url }, one.person_id ? 'Pictures' : 'All scenes')),
      evidenceOf(one, this.where, this.limit),
      mayEdit ? this.field : h('p.quiet', {}, tip),
      h('div.row', {},
        one.person_id && !one.confirmed && h('button', { type: 'button', disabled: !mayEdit, title: tip, onclick: () => this.correct('is', one.person_id, `Confirmed ${one.label}`) }, `Yes, ${one.label}`),
        one.person_id && h('button', { type: 'button', disabled: !mayEdit, title: tip, onclick: () => this.deny() }, `Not ${one.label}`),
        one.stranger && h('button', { type: 'button', disabled: !mayEdit, title: tip, onclick: () => this.hideStranger() }, 'Hide')));
  }

  nameChosen() {
    this.field?.isConnected && this.field.focus();
  }

  name({ person_id: person, identity, about: one }) {
    // A stranger is named in all videos at once, and by that known from then on.
    if (one.stranger) apply(`Named ${one.label} ${identity}`, () => post(at`projects/${this.where}/strangers/${one.stranger}/name`, { person_id: person }));
    else this.correct('is', person, `Named ${identity}`, one);
    this.rows.focus();
  }

  deny() {
    const one = this.chosen;
    if (!one?.person_id || !this.result) return;
    this.correct('is_not', one.person_id, `Not ${one.label}`);
  }

  correct(kind, person, text, one = this.chosen) {
    if (!may('curate')) return toast(lacks('curate'), { tone: 'wrong' });
    const tracks = one.track_ids.map((id) => ({ video_id: this.videoId, track_id: id }));
    return apply(text, () => post(at`projects/${this.where}/tracks/corrections`, { kind, person_id: person, tracks }));
  }

  hideStranger() {
    const one = this.chosen;
    if (!one?.stranger) return;
    if (!may('curate')) return void toast(lacks('curate'), { tone: 'wrong' });
    apply(`${one.label} is left out of lists`, () => post(at`projects/${this.where}/strangers/${one.stranger}/hide`));
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

  async play() {
    const { signal } = this;
    const playback = await get(this.at`/playback`, { signal }).catch((error) => (error.isAway || error.name === 'AbortError' ? Promise.reject(error) : error));
    if (playback instanceof Error) return this.player.tell(h('p', {}, playback.message));
    if (playback.state !== 'ready') return this.makePlayable(playback);
    this.playback = playback;
    this.player.load(served(playback.url), this.result?.video ?? this.seen ?? { width: 16, height: 9, sample_aspect_ratio: 1 }, { offset: this.offsetOf(playback), at: this.beginsAt });
  }

  /** Have a file made that browsers play, and play it. */
  async makePlayable(playback = null) {
    this.player.tell(loading('Browsers do not play this file as it is. A version that they play is being made, once…'));
    try {
      if (playback?.state !== 'making') await post(this.at`/rendition`);
      await this.every(POLL_MS, async () => {
        const now = await get(this.at`/playback`, { signal: this.signal });
        if (now.state === 'making') return true;
        if (now.state === 'ready') await this.play();
        else this.player.tell(h('p', {}, now.why ?? 'It cannot be played.'));
        return false;
      });
    } catch (error) {
      if (error.status === undefined) throw error;
      this.player.tell(h('p', {}, error.message));
    }
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
    if (!isPlayed) await this.play();
  }

  /** The size of the pictures, and when they begin, is known by now. */
  fitPlayer() {
    if (this.player.view) this.player.show(this.seen, { offset: this.offsetOf(this.playback) });
  }

  /** What a file's own clock says at time 0: one that plays as it is has its own, and what was made of it begins at 0. */
  offsetOf(playback) {
    return playback?.why === null ? ((this.result?.video ?? this.seen)?.start_pts_s ?? 0) : 0;
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
