/** Corrections of the appearances of one video: each is one edit, of however many it is, and one undo takes it back. */

import { at, patch, post } from '../../core/api.js';
import { apply } from '../../core/edits.js';
import { lacks, may } from '../../core/session.js';
import { count } from '../../core/text.js';
import { toast } from '../../core/toast.js';

const FACES = ['face', 'faces'];

export class Corrections {
  /**
   * @param {string} where The project.
   * @param {string} video The id of the video.
   */
  constructor(where, video) {
    Object.assign(this, { where, video });
  }

  places(ones, person = null) {
    return ones.flatMap((one) => one.track_ids.map((id) => ({ video_id: this.video, track_id: id, ...(person ? { person_id: person(one) } : {}) })));
  }

  /** Return what an edit that names them is called, where it is sent, and with what. */
  naming(ones, { person_id: person, identity }) {
    const strangers = [...new Set(ones.map((one) => one.stranger).filter(Boolean))];
    const rest = ones.filter((one) => !one.stranger);
    const [one] = ones;
    const text = ones.length > 1 ? `${count(ones.length, ...FACES)} are ${identity}` : one.stranger ? `${one.label} is ${identity}` : `The face is ${identity}${one.person_id ? `, not ${one.label}` : ''}`;
    // A stranger is named in all videos at once, and by that known from then on.
    if (strangers.length === 1 && !rest.length) return { text, address: at`projects/${this.where}/strangers/${strangers[0]}/name`, body: { person_id: person } };
    if (strangers.length) return { text, address: at`projects/${this.where}/strangers/name`, body: { person_id: person, strangers, tracks: this.places(rest) } };
    return { text, address: at`projects/${this.where}/tracks/corrections`, body: { kind: 'is', person_id: person, tracks: this.places(rest) } };
  }

  name(ones, given, query = {}) {
    const { text, address, body } = this.naming(ones, given);
    return this.send(text, address, body, query);
  }

  /** Return what naming them would change. */
  preview(ones, given, signal) {
    const { address, body } = this.naming(ones, given);
    return post(address, body, { query: { preview: true }, signal });
  }

  /** They are whom they are taken for. */
  confirm(ones) {
    const open = ones.filter((one) => one.person_id && !one.confirmed);
    return this.correct('is', open, open.length === 1 ? `Confirmed ${open[0]?.label}` : `Confirmed ${count(open.length, ...FACES)}`);
  }

  /** They are not whom they are taken for. */
  deny(ones) {
    const named = ones.filter((one) => one.person_id);
    return this.correct('is_not', named, named.length === 1 ? `Not ${named[0]?.label}` : `${count(named.length, ...FACES)} not who they were taken for`);
  }

  correct(kind, ones, text) {
    if (!ones.length) return void toast('There is no name to answer about.');
    return this.send(text, at`projects/${this.where}/tracks/corrections`, { kind, tracks: this.places(ones, (one) => one.person_id) });
  }

  /** Leave strangers out of lists, or with `isHidden` false show them again. */
  hide(ones, isHidden = true) {
    const strangers = new Map(ones.filter((one) => one.stranger).map((one) => [one.stranger, one.label]));
    if (!strangers.size) return void toast('Only strangers can be hidden.');
    const text = `${strangers.size === 1 ? [...strangers.values()][0] : count(strangers.size, 'stranger')} ${strangers.size === 1 ? 'is' : 'are'} ${isHidden ? 'left out of lists' : 'shown again'}`;
    return this.send(text, at`projects/${this.where}/strangers/hide`, { strangers: [...strangers.keys()] }, isHidden ? {} : { no_longer: true });
  }

  /** Learn from an enrolled picture no longer. */
  setAside(face, identity) {
    return this.send(`A picture of ${identity} is set aside`, at`projects/${this.where}/faces`, { face_ids: [face], enabled: false }, {}, patch);
  }

  /** Returns the answer, or null where it was refused. */
  async send(text, address, body, query = {}, by = post) {
    if (!may('curate')) return void toast(lacks('curate'), { tone: 'wrong' });
    return apply(text, () => by(address, body, { query }));
  }
}
