/**
 * The service's own interface, below an address of this page. Every error is a `Problem`, with what was wrong and what to do about it.
 */

const READ_ATTEMPTS = 4;
const LONGEST_WAIT_S = 10;

/** What the service told of an error (RFC 9457). */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
  }

  /** Whether the service could not be asked at all. */
  get isAway() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** Tells `away` when the service does not answer, and `back` when it does again. */
export const connection = new EventTarget();
let isAway = false;

/** Return an address of the interface; values are encoded: at`projects/${name}/videos`. */
export function at(parts, ...values) {
  return '/fr/v1/' + parts.reduce((sum, part, i) => sum + encodeURIComponent(values[i - 1]) + part);
}

/** Return an address that the service gave, as in a result, as one of this page. */
export function served(url) {
  return `/fr${url}`;
}

/** Add a query to an address; a list is given several times, and what is null, undefined or '' is left out. */
export function withQuery(address, given) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== '') query.append(name, one);
  }
  const text = query.toString();
  return text ? `${address}${address.includes('?') ? '&' : '?'}${text}` : address;
}

/** Read JSON. What is busy is asked again. */
export async function get(address, { signal, query } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask('GET', query ? withQuery(address, query) : address, undefined, signal);
    } catch (problem) {
      if (problem.status !== 429 || attempt === READ_ATTEMPTS) throw problem;
      await pause(Math.min(problem.retryAfterS || 1, LONGEST_WAIT_S) * 1000, signal);
    }
  }
}

/** Send JSON, a form, or nothing; return the JSON of the answer. */
export const post = (address, body, { signal, query } = {}) => ask('POST', query ? withQuery(address, query) : address, body, signal);
export const put = (address, body, { signal } = {}) => ask('PUT', address, body, signal);
export const patch = (address, body, { signal, query } = {}) => ask('PATCH', query ? withQuery(address, query) : address, body, signal);
export const remove = (address, { signal } = {}) => ask('DELETE', address, undefined, signal);

async function ask(method, address, body, signal) {
  const isForm = body instanceof FormData;
  const headers = { accept: 'application/json', ...(body && !isForm ? { 'content-type': 'application/json' } : {}) };
  let answer;
  try {
    // A form's pieces are counted by the browser, and nothing's length is told as well: the service wants to know it.
    const sent = body === undefined ? (method === 'GET' || method === 'DELETE' ? undefined : '') : isForm ? body : JSON.stringify(body);
    answer = await fetch(address, { method, headers, body: sent, signal, credentials: 'same-origin' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    tell(true);
    throw new Problem(0, 'Unavailable', 'The page does not answer: it may be starting again.');
  }
  if (answer.ok) {
    tell(false);
    return answer.status === 204 ? null : await answer.json();
  }
  throw told(answer.status, answer.headers.get('retry-after'), await answer.text());
}

/** Make a problem of an answer; who has no key any more goes to the sign-in. */
function told(status, retryAfter, text) {
  let found = {};
  try {
    found = JSON.parse(text);
  } catch {
    // Nothing of ours: what stands between may answer in its own way.
  }
  const problem = new Problem(status, found.title ?? `Status ${status}`, found.detail ?? '');
  problem.retryAfterS = Number(retryAfter) || 0;
  if (status === 401) location.assign('/sign-in');
  tell(problem.isAway);
  return problem;
}

function tell(now) {
  if (now === isAway) return;
  isAway = now;
  connection.dispatchEvent(new Event(now ? 'away' : 'back'));
}

/** Ask whether the service is ready; never raises. */
export async function isReady() {
  try {
    const answer = await fetch('/fr/readyz', { signal: AbortSignal.timeout(4000) });
    tell(!answer.ok);
    return answer.ok;
  } catch {
    tell(true);
    return false;
  }
}

/**
 * Send a form, and tell how far it is: `fetch` cannot.
 *
 * @param {(part: number) => void} onProgress From 0 to 1.
 */
export function upload(address, form, { onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', address);
    request.setRequestHeader('accept', 'application/json');
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(told(request.status, request.getResponseHeader('retry-after'), request.responseText));
    };
    request.onerror = () => {
      tell(true);
      reject(new Problem(0, 'Unavailable', 'The connection broke while sending.'));
    };
    request.onabort = () => reject(new DOMException('ended', 'AbortError'));
    signal?.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

/** Wait; ends at once, with an AbortError, when `signal` says so. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('ended', 'AbortError'));
    });
  });
}
