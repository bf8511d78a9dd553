/**
 * The one attempt loop, for every route and both modes: decide, wait, try, learn, decide again. In: a request that has been read, the table
 * it began with, live state, the client's answer. Out: how it ended and every attempt's record. Writes nothing but through the attempts.
 */
import { Chain } from './chain.ts'
import type { Ending, Run } from './run.ts'

/** Whatever happens, what was reserved is given back. */
export async function runAttempts(run: Run): Promise<Ending> {
  const chain = new Chain(run)
  try {
    let ending: Ending | undefined
    while (ending === undefined) ending = await chain.next()
    return ending
  } finally {
    chain.release()
  }
}
