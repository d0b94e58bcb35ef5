/** A field for a name: what is typed is looked for among those who are enrolled, and may be a new name. */

import { fill, freshId, h } from '../core/dom.js';
import { undo } from '../core/edits.js';
import { matching, people, personId } from '../core/people.js';
import { complain, toast } from '../core/toast.js';

const MOST = 8;

/**
 * A combobox. Sends `name` with `{person_id, identity, isNew, about}`, and with Shift and Enter `preview` with the same, which keeps what
 * is typed; Escape in an empty field sends `leave`.
 *
 * `about()`, where it is set, tells what is named. It is asked when the name is given: what the name means may first
 * have to be read, and meanwhile the view may have gone on.
 *
 * Attributes: `label`; `placeholder`; `known`, where nobody new is offered.
 */
class NameField extends HTMLElement {
  connectedCallback() {
    if (this.field) return;
    this.shown = [];
    this.chosen = -1;
    const list = freshId('names');
    this.field = h('input', {
      type: 'text',
      role: 'combobox',
      autocomplete: 'off',
      spellcheck: 'false',
      maxlength: '120',
      'aria-label': this.getAttribute('label') ?? 'Name',
      'aria-autocomplete': 'list',
      'aria-expanded': 'false',
      'aria-controls': list,
      placeholder: this.getAttribute('placeholder') ?? 'Type a name',
      oninput: () => ((this.hasInput = true), this.suggest()),
      onfocus: () => ((this.hasInput = Boolean(this.field.value)), this.suggest()),
      onblur: () => this.close(),
      onkeydown: (event) => this.press(event),
    });
    this.list = h('ul.names', { id: list, role: 'listbox', 'aria-label': 'People', hidden: true });
    fill(this, this.field, this.list);
  }

  focus() {
    this.field?.focus();
  }

  get value() {
    return this.field.value;
  }

  set value(text) {
    this.field.value = text;
    this.hasInput = Boolean(text);
  }

  /** Return whom Enter would give now; null where nothing is typed. */
  async meant() {
    const text = this.field.value.trim();
    if (!text) return null;
    const [first] = this.list.hidden ? matching(await people(), text, 1) : [this.shown[this.chosen]];
    return first ?? (this.hasAttribute('known') ? null : { person_id: personId(text), identity: text });
  }

  async suggest() {
    const text = this.field.value;
    const all = await people();
    if (text !== this.field.value || this.getRootNode().activeElement !== this.field) return;
    this.shown = text.trim() ? matching(all, text, MOST) : [];
    const isKnown = this.shown.some((one) => one.person_id === personId(text));
    if (text.trim() && !isKnown && !this.hasAttribute('known')) this.shown.push({ person_id: personId(text), identity: text.trim(), isNew: true });
    this.chosen = this.shown.length && text.trim() ? 0 : -1;
    this.draw();
  }

  draw() {
    fill(
      this.list,
      this.shown.map((one, i) =>
        h(
          'li',
          {
            id: `${this.list.id}-${i}`,
            role: 'option',
            'aria-selected': String(i === this.chosen),
            // The field must not lose the focus before the choice is made.
            onmousedown: (event) => (event.preventDefault(), this.give(one)),
          },
          h('bdi', {}, one.identity),
          h('span.quiet', {}, one.isNew ? 'new person' : ''),
        ),
      ),
    );
    this.list.hidden = !this.shown.length;
    this.field.setAttribute('aria-expanded', String(!this.list.hidden));
    if (this.chosen < 0) this.field.removeAttribute('aria-activedescendant');
    else this.field.setAttribute('aria-activedescendant', `${this.list.id}-${this.chosen}`);
  }

  press(event) {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (!this.shown.length) return;
      const step = event.key === 'ArrowDown' ? 1 : -1;
      this.chosen = (this.chosen + step + this.shown.length) % this.shown.length;
      this.draw();
    } else if (event.key === 'Enter' && this.field.value.trim()) {
      event.preventDefault();
      event.stopPropagation();
      this.giveMeant(event.shiftKey ? 'preview' : 'name');
    } else if ((event.ctrlKey || event.metaKey) && event.key === 'z' && !event.shiftKey && !this.hasInput) {
      // Nothing was typed that could be meant: the last answer is.
      event.preventDefault();
      event.stopPropagation();
      undo();
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      if (this.field.value) {
        this.field.value = '';
        this.close();
      } else {
        this.field.blur();
        this.dispatchEvent(new CustomEvent('leave', { bubbles: true }));
      }
    }
  }

  close() {
    this.shown = [];
    this.chosen = -1;
    this.draw();
  }

  /** Suggestions may still be on their way: who types fast gets whom they would show. */
  async giveMeant(as) {
    const about = this.about?.();
    try {
      const one = await this.meant();
      if (one && as === 'preview') this.dispatchEvent(new CustomEvent('preview', { bubbles: true, detail: { ...one, about } }));
      else if (one) this.give(one, about);
      else if (this.field.value.trim()) toast(`Nobody is called ${this.field.value.trim()}.`);
    } catch (error) {
      complain(error);
    }
  }

  give(one, about = this.about?.()) {
    this.value = '';
    this.close();
    this.dispatchEvent(new CustomEvent('name', { bubbles: true, detail: { ...one, about } }));
  }
}

customElements.define('fr-name-field', NameField);

/** Make one. */
export function nameField(label, { placeholder, onname, onpreview, onleave, about, isKnown = false } = {}) {
  const field = h('fr-name-field', { label, placeholder, known: isKnown });
  field.about = about;
  if (onname) field.addEventListener('name', (event) => onname(event.detail));
  if (onpreview) field.addEventListener('preview', (event) => onpreview(event.detail));
  if (onleave) field.addEventListener('leave', onleave);
  return field;
}
