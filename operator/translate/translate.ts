/**
 * Resources become a routing table. In: `Resources`, all objects at one moment. Out: the table that proxies take, every mistake found, and
 * what each object's status says. PURE: no I/O, clock or chance; equal resources in any order give an equal answer.
 * One bad object never harms another: it becomes problems, and the rest is still built. Nothing here throws on what a user wrote.
 * Whoever translates again and again does it with one `makeTranslator()`. Cases: `cases/`.
 */
import type { Resources } from '../resources/snapshot.ts'
import { makeTranslator, type TableNumber, type Translation } from './translator.ts'

export type { TableNumber, Translation } from './translator.ts'

export function translate(resources: Resources, number: TableNumber = { epoch: 0, seq: 0 }): Translation {
  return makeTranslator()(resources, number)
}
