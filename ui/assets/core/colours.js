/** A colour for everybody, the same in every view and at every visit. */

// Okabe and Ito's colours, and others of like lightness, told apart by people who do not see all of them: on dark pictures, and with
// dark text on them.
const COLOURS = [
  ...['#e69f00', '#56b4e9', '#2bbf93', '#f0e442', '#cc79a7', '#ff8c5a', '#8fb8ff', '#b6d957'],
  ...['#e4a1ff', '#5ad1d1', '#ffb3c1', '#c9b18f'],
];
const OF_NOBODY = '#b8b8c0';

/** Return the colour of an appearance or a track: of its person, its stranger, or of nobody. */
export function colourOf(shown) {
  const key = shown.person_id ?? shown.stranger;
  if (!key) return OF_NOBODY;
  let hash = 2166136261;
  for (const unit of key) hash = Math.imul(hash ^ unit.codePointAt(0), 16777619);
  return COLOURS[(hash >>> 0) % COLOURS.length];
}
