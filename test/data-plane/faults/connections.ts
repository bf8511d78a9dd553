/** Faults of connections: what is not there, does not accept, is not who it should be, or has gone since it was used last. */
import assert from 'node:assert/strict'
import { error, RESET } from '../../support/model-server/answers.ts'
import { blackhole, overTls, plainAtTls, refused, selfSigned, tlsAtPlain, unresolved, wrongName } from './places.ts'
import { answeredAtOnce, answeredBy, httpError, tries } from './verdicts.ts'
import { type FaultCase, healthy, type Outcome, wholeAnswer } from './wall.ts'

/** Many names at a time, and a resolver that may be slow to say no. */
const RESOLVE: FaultCase['timeouts'] = { connectMs: 12_000 }
const CONNECT: FaultCase['timeouts'] = { connectMs: 300 }

/** The fallback answers in time, and no byte of the request reached the primary. */
const unreached =
  (withinMs: number, outcome: string): FaultCase['check'] =>
  async (seen) => {
    wholeAnswer(seen)
    answeredBy(seen, seen.fallbackName)
    assert.deepEqual(tries(seen), [0, 1])
    assert.ok(seen.got.tookMs < withinMs, `${seen.got.tookMs} ms`)
    const { attempts } = await seen.proxy.accessLine(String(seen.got.headers['x-request-id']))
    assert.ok(Array.isArray(attempts))
    assert.deepEqual([...new Set(attempts.map((each) => String(each.outcome)))], [outcome, 'answered'])
  }

const toldWithoutAddress = (status: number, code: string) => (outcome: Outcome) => {
  httpError(outcome, status, code)
  assert.doesNotMatch(outcome.got.body, /127\.0\.0\.|localhost|\.invalid|certificate of/)
}

export const CONNECTIONS: Readonly<Record<string, FaultCase>> = {
  'a kept connection that breaks as the request arrives: a fresh one is used, and nothing is counted': {
    warmUp: 1,
    primary: (mode) => [[RESET], healthy(mode)],
    check: async (outcome) => {
      wholeAnswer(outcome)
      assert.deepEqual(tries(outcome), [2, 0])
      assert.notEqual(outcome.primary[0]?.connection, outcome.primary[1]?.connection)
      assert.equal(outcome.got.headers['x-llama-swap-attempts'], '1')
    },
  },
  'a refused connection: the fallback answers at once': {
    address: refused,
    primary: () => [],
    check: unreached(5000, 'upstream_connect_failed'),
  },
  'a refused connection and no fallback: a typed error without the address': {
    alone: true,
    address: refused,
    primary: () => [],
    check: toldWithoutAddress(502, 'upstream_error'),
  },
  'an address that accepts nobody: given up after the connect deadline, the fallback answers': {
    address: blackhole,
    timeouts: CONNECT,
    primary: () => [],
    check: unreached(6000, 'upstream_connect_timeout'),
  },
  'a name that does not resolve: the fallback answers': {
    address: unresolved,
    timeouts: RESOLVE,
    primary: () => [],
    check: unreached(15_000, 'upstream_connect_failed'),
  },
  'a name that does not resolve and no fallback: a typed error without the name': {
    alone: true,
    address: unresolved,
    timeouts: RESOLVE,
    primary: () => [],
    check: toldWithoutAddress(502, 'upstream_error'),
  },
  'TLS with a certificate that is trusted: answered': { address: overTls, primary: (mode) => [healthy(mode)], check: answeredAtOnce },
  'a certificate of an unknown authority: the fallback answers, nothing was sent': {
    address: selfSigned,
    primary: (mode) => [healthy(mode)],
    check: unreached(3000, 'upstream_connect_failed'),
  },
  'a certificate for another name: the fallback answers, nothing was sent': {
    address: wrongName,
    primary: (mode) => [healthy(mode)],
    check: unreached(3000, 'upstream_connect_failed'),
  },
  'TLS to a port that speaks none: the fallback answers': {
    address: tlsAtPlain,
    timeouts: CONNECT,
    primary: () => [error(400, null, 'this is HTTP')],
    check: unreached(6000, 'upstream_connect_timeout'),
  },
  'plain HTTP to a port that speaks TLS: the fallback answers': {
    address: plainAtTls,
    primary: (mode) => [healthy(mode)],
    check: unreached(3000, 'upstream_connect_failed'),
  },
}
