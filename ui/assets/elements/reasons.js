/** Why a picture is not learned from, as a few plain words; the service's own, with all figures, are for the pointer that rests there. */

const WORDS = [
  [/^outlier/, 'unlike the other pictures'],
  [/^guessed: the same (content|face)/, 'the same face is enrolled under another name'],
  [/^guessed/, 'not clear whose face it is'],
  [/^duplicate/, 'this picture is there already'],
  [/^too small/, 'too small, blurred, turned or cut off'],
  [/is no picture of an allowed kind/, 'no picture that can be read'],
  [/^by hand$/, 'by you or a colleague'],
];

/** Return them; null where there is no reason. */
export function plainReason(reason) {
  return reason ? (WORDS.find(([pattern]) => pattern.test(reason))?.[1] ?? reason) : null;
}
