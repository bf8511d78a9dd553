/**
 * A reporter for `node --test`: makes a run fail in which a test was skipped or marked todo, or in which there was none. Used beside the
 * ordinary reporter; prints nothing when all is well.
 *
 *   node --test --test-reporter=spec --test-reporter-destination=stdout \
 *     --test-reporter=./scripts/nothing-skipped.ts --test-reporter-destination=stderr GLOB…
 */
import type { TestEvent } from 'node:test/reporters'

export default async function* nothingSkipped(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let tests = 0
  for await (const event of events) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    tests++
    const { name, skip, todo } = event.data
    if (skip === undefined && todo === undefined) continue
    process.exitCode = 1
    yield `not run: "${name}" (${skip === undefined ? 'todo' : 'skipped'}); a test that cannot run must fail\n`
  }
  if (tests > 0) return
  process.exitCode = 1
  yield 'no test ran\n'
}
