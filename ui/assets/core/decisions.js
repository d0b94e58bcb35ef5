/** Who everybody is at another accepted error: the browser decides again from what the result tells of each score. */

/** What the slider offers: of 100 strangers, so many hundredths may get a name. */
export const LIMITS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

const LABELS = { undecidable: 'Not sure' };

/**
 * Return the appearances as they are at a limit, each with its `decision` and `isChanged`.
 *
 * A face gets the name that it is nearest to if no more strangers than accepted would come as near. What was confirmed stays, and so
 * does what is too poor to be decided: no limit makes a blurred face clear.
 */
export function decide(appearances, tracks, limit, given) {
  const byId = new Map(tracks.map((one) => [one.track_id, one]));
  return appearances.map((one) => {
    const decision = one.person_id ? 'named' : one.stranger ? 'unknown' : 'undecidable';
    const own = { ...one, decision, label: LABELS[decision] ?? one.label, isChanged: false };
    if (one.confirmed || limit === given || decision === 'undecidable') return own;
    const isNear = one.false_name_rate <= limit;
    if (decision === 'named' && !isNear) return { ...own, decision: 'unknown', label: `${one.identity}?`, person_id: null, identity: null, isChanged: true };
    const [nearest] = byId.get(one.track_ids[0])?.candidates ?? [];
    if (decision === 'unknown' && isNear && limit > given && nearest && !one.evidence.told_apart) {
      return { ...own, decision: 'named', person_id: nearest.person_id, label: nearest.person_id.replaceAll('_', ' '), isChanged: true };
    }
    return own;
  });
}
