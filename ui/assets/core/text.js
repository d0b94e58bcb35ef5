/** Numbers and times, as people read them. */

/** 3723.4 → "1:02:03"; with `digits`, "1:02:03.4". */
export function clock(seconds, digits = 0) {
  const unit = 10 ** digits;
  const whole = Math.max(0, Math.floor(seconds * unit + 1e-6));
  const s = Math.floor(whole / unit);
  const parts = s >= 3600 ? [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60] : [Math.floor(s / 60), s % 60];
  const text = parts.map((part, i) => (i ? String(part).padStart(2, '0') : String(part))).join(':');
  return digits ? `${text}.${String(whole % unit).padStart(digits, '0')}` : text;
}

/** How long something is: "42 s", "3 min", "1 h 20 min". */
export function length(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "1 video", "1,234 videos". */
export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

/** .873 → "87 %". */
export function percent(part) {
  return `${Math.round(100 * part)} %`;
}

/** How certain a name is; what is not certain is never called so. */
export function certainty(probability) {
  return probability >= 0.995 ? '> 99 %' : percent(probability);
}

/** A rate of wrong names, as how many strangers pass: .0052 → "1 in 190". */
export function oneIn(rate) {
  if (!(rate > 0)) return 'none';
  const n = 1 / rate;
  const unit = n < 20 ? 1 : n < 200 ? 10 : n < 2000 ? 100 : 1000;
  return n > 10_000 ? 'fewer than 1 in 10,000' : `1 in ${(Math.max(1, Math.round(n / unit)) * unit).toLocaleString('en')}`;
}

/** A moment, in seconds since 1970, as the visitor's clock says it. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });
}

/** A size in bytes: "3.4 MB". */
export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const i = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return `${(bytes / 1000 ** i).toFixed(i && bytes / 1000 ** i < 10 ? 1 : 0)} ${units[i]}`;
}

/** As texts are compared when they are searched for: without accents, in lower case, `_` as a space. */
export function folded(text) {
  return text.normalize('NFD').replace(/\p{M}/gu, '').replaceAll('_', ' ').toLowerCase();
}
