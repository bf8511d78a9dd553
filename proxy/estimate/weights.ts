import { FEATURES, type Feature } from './features.ts'

/** Tokens for one of each, and how far a vocabulary may be from that (one standard deviation). */
type Weight = readonly [tokens: number, spread: number]

/**
 * Fitted to three vocabularies at once (o200k, Qwen3 and Gemma 3) over the development half of the measurement's texts; what templates add
 * is what ChatML adds. Models that are further off (a vocabulary without Chinese, say) are learnt.
 */
const WEIGHTS: Readonly<Record<Feature, Weight>> = {
  start: [4, 10],
  messages: [4, 2],
  tools: [1, 0.5],
  words: [0.92, 0.46],
  over6: [0.08, 0.07],
  over10: [0.43, 0.21],
  parts: [0.5, 0.25],
  capitals: [0.15, 0.07],
  rare: [0.46, 0.23],
  latin: [1.1, 0.55],
  digits: [1.07, 0.53],
  marks: [0.68, 0.34],
  signs: [0.18, 0.09],
  joins: [-0.2, 0.1],
  lines: [0.81, 0.4],
  blanks: [0.5, 0.25],
  tabs: [0.27, 0.13],
  han: [0.6, 0.3],
  hanRuns: [0.7, 0.35],
  wide: [0.39, 0.19],
}

/** By FEATURES. */
export const PLAIN_WEIGHTS: Float64Array = Float64Array.from(FEATURES, (feature) => WEIGHTS[feature][0])
export const SPREADS: Float64Array = Float64Array.from(FEATURES, (feature) => WEIGHTS[feature][1])
