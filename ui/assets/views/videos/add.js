/** Adding videos: files, a whole folder, addresses one a line, or a list of parts. */

import { at, post, upload } from '../../core/api.js';
import { fill, h } from '../../core/dom.js';
import { lacks, may } from '../../core/session.js';
import { count, percent, size } from '../../core/text.js';
import { complain, toast } from '../../core/toast.js';

const KINDS = ['3g2', '3gp', 'asf', 'avi', 'dv', 'flv', 'gif', 'm2ts', 'm4v', 'mj2', 'mkv', 'mov', 'mp4', 'mpeg', 'mpg', 'mts', 'mxf', 'ogg', 'ogv', 'ts', 'vob', 'webm', 'wmv'];
const LEAST_LINES = 1;
const MOST_LINES = 12;

/** Whether a file is called like a video, or its kind says so. */
export function isVideo(file) {
  const ending = file.name.includes('.') ? file.name.split('.').at(-1).toLowerCase() : '';
  return !file.name.startsWith('.') && (KINDS.includes(ending) || (file.type.startsWith('video/') && ending !== ''));
}

/** What adds videos to a project; `onadded` is called after each. */
export class Adding {
  constructor(where, signal, onadded) {
    Object.assign(this, { where, signal, onadded });
    const isOnlyRead = !may('curate');
    const given = { type: 'button', disabled: isOnlyRead, title: isOnlyRead ? lacks('curate') : null };
    const chooser = (more, onchange) => {
      const input = h('input', { type: 'file', hidden: true, ...more, onchange: () => (onchange([...input.files]), (input.value = '')) });
      return input;
    };
    this.files = chooser({ accept: 'video/*,.mkv,.ts,.mpg,.gif', multiple: true }, (files) => this.send(files));
    this.folder = chooser({ webkitdirectory: true, multiple: true }, (files) => this.sendFolder(files));
    this.table = chooser({ accept: '.csv,text/csv' }, ([file]) => file && this.sendTable(file));
    this.uploads = h('div.stack', { 'aria-live': 'polite' });
    this.told = h('div.stack');
    this.addresses = h('textarea', {
      rows: String(LEAST_LINES), 'aria-label': 'Addresses of videos, one a line', placeholder: 'Web addresses, files of the server, catalogue URIs', spellcheck: 'false',
      oninput: () => this.grow(),
      onkeydown: (event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && (event.preventDefault(), this.sendAddresses()),
    });
    this.add = h('button', { ...given, type: 'submit' }, 'Add');
    this.element = h('section.drop.stack', { 'aria-label': 'Add videos' },
      h('div.row.centre', {},
        h('button.primary', { ...given, onclick: () => this.files.click() }, 'Choose videos'),
        h('button', { ...given, onclick: () => this.folder.click() }, 'Choose a folder'),
        h('button', { ...given, title: given.title ?? 'A table with the columns media, start, end, person: parts of many videos at once', onclick: () => this.table.click() }, 'Choose a list (CSV)'),
        h('span.quiet', {}, 'or drop them here')),
      h('form.row.add-addresses', { onsubmit: (event) => (event.preventDefault(), this.sendAddresses()) }, h('div.grow', {}, this.addresses), this.add),
      this.files, this.folder, this.table, this.told, this.uploads);
    if (!isOnlyRead) this.takeDrops();
  }

  takeDrops() {
    const over = (is) => (event) => (event.preventDefault(), this.element.classList.toggle('over', is));
    this.element.addEventListener('dragover', over(true));
    this.element.addEventListener('dragleave', over(false));
    this.element.addEventListener('drop', (event) => {
      over(false)(event);
      this.send([...event.dataTransfer.files]);
    });
  }

  /** As many lines as there are, within bounds. */
  grow() {
    this.addresses.rows = Math.min(MOST_LINES, Math.max(LEAST_LINES, this.addresses.value.split('\n').length));
  }

  /** Of a folder only videos are taken, and it is said how many. */
  async sendFolder(files) {
    const videos = files.filter(isVideo).sort((a, b) => (a.webkitRelativePath < b.webkitRelativePath ? -1 : 1));
    const folder = files[0]?.webkitRelativePath?.split('/')[0] ?? 'The folder';
    fill(this.told, h('p', { role: 'status' }, h('bdi', {}, folder),
      videos.length ? `: ${count(videos.length, 'video')} of ${count(files.length, 'file')}${videos.length === 1 ? ' is' : ' are'} taken.` : `: none of its ${count(files.length, 'file')} is a video.`));
    await this.send(videos);
  }

  /** Send files one after another: each is as fast alone, and the first is analysed while the next comes. */
  async send(files) {
    const rows = files.map((file) => {
      const bar = h('i', { style: { width: '0' } });
      const state = h('span.quiet.number', {}, 'waiting');
      const row = h('div.row', {}, h('bdi.clip.grow', {}, file.name), h('span.quiet.number', {}, size(file.size)), h('div.progress.grow', {}, bar), state);
      this.uploads.append(row);
      return { file, row, bar, state };
    });
    for (const { file, row, bar, state } of rows) {
      const form = new FormData();
      form.append('file', file);
      try {
        await upload(at`projects/${this.where}/videos`, form, {
          signal: this.signal,
          onProgress: (part) => {
            bar.style.width = percent(part).replace(' ', '');
            state.textContent = part < 1 ? percent(part) : 'being checked';
          },
        });
        row.remove();
      } catch (error) {
        if (error.name === 'AbortError') return;
        fill(state, error.message);
        state.className = 'wrong-text grow';
        row.querySelector('.progress').remove();
        row.append(h('button.bare', { type: 'button', 'aria-label': `Close: ${file.name}`, onclick: () => row.remove() }, '×'));
      }
      await this.onadded();
    }
  }

  /** Submit line by line; those that cannot be are kept, each with its reason. */
  async sendAddresses() {
    const lines = this.addresses.value.split('\n').map((line) => line.trim()).filter(Boolean);
    const failed = [];
    this.add.disabled = true;
    for (const uri of lines) {
      try {
        await post(at`projects/${this.where}/videos`, { uri });
        await this.onadded();
      } catch (error) {
        failed.push({ uri, message: error.message });
      }
    }
    this.add.disabled = false;
    this.addresses.value = failed.map((one) => one.uri).join('\n');
    this.grow();
    const added = lines.length - failed.length;
    if (added) toast(`Added ${count(added, 'video')}`);
    this.tell(failed.map((one) => [one.uri, one.message]));
  }

  /** Submit a table of parts of videos. */
  async sendTable(file) {
    const form = new FormData();
    form.append('file', file);
    try {
      const items = await post(at`projects/${this.where}/batches`, form);
      const failed = items.filter((one) => one.error);
      const done = items.length - failed.length;
      if (done) toast(`${count(done, 'line')} of ${file.name} ${done === 1 ? 'is' : 'are'} being analysed`);
      this.tell(failed.map((one) => [`line ${one.line}, ${one.media}`, one.error]));
      await this.onadded();
    } catch (error) {
      complain(error);
    }
  }

  tell(failed) {
    fill(this.told, failed.length > 0 && h('div', { role: 'alert' }, h('ul.stack.add-failed', {},
      failed.map(([what, why]) => h('li', {}, h('bdi.strong', {}, what), ' ', h('span.wrong-text', {}, why))))));
  }
}
