/** What the parts of the service's page share. */

import { pause } from '../../core/api.js';

/** Call again and again until `signal` ends, while the page is looked at; a service that does not answer is told of above all views. */
export async function every(ms, signal, call) {
  try {
    for (;;) {
      await pause(ms, signal);
      if (document.hidden) continue;
      try {
        await call();
      } catch (error) {
        if (!error.isAway) throw error;
      }
    }
  } catch (error) {
    if (error.name !== 'AbortError' && error.status === undefined) throw error;
  }
}
