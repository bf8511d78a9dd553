/** What is counted in a prompt, in the order of all rows of counts and weights here: a model has a weight, in tokens, for each. */
export const FEATURES = [
  'start', // 1: what a template puts around all messages
  'messages', // what it puts around each
  'tools', // tokens of their schemas by the plain weights: templates write them anew, or leave them out
  'words', // runs of letters of Latin script
  'over6', // letters of a word's part, the seventh to the tenth
  'over10', // and those behind
  'parts', // a new part within a word: fooBar, HTTPServer
  'capitals', // behind another one
  'rare', // pairs of letters that are rare in English: vocabularies hold its words whole, others in pieces
  'latin', // letters and signs of Latin script beyond ASCII
  'digits',
  'marks', // runs of punctuation
  'signs', // characters in them that differ from the one before
  'joins', // one sign between letters or digits: a.b
  'lines', // runs of line ends
  'blanks', // runs of blanks, and a space before a digit; else a space belongs to the word behind it
  'tabs',
  'han',
  'hanRuns',
  'wide', // UTF-16 units of other scripts
] as const
export type Feature = (typeof FEATURES)[number]

export const FEATURE_COUNT = FEATURES.length

export const featureAt = (feature: Feature): number => FEATURES.indexOf(feature)
