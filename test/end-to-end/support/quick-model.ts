/**
 * A model that costs nothing: streams of twenty words that take half a second. For stories about connections, where a real engine would only
 * take the CPU. In: where. Out: LlamaModel "quick", and the policy "auto" of it alone.
 */
import type { Cluster } from '../../support/control-plane/cluster.ts'
import { kubectl, stateOf } from './cluster.ts'
import { startWordsEngine } from './words-engine.ts'

const NAME = 'quick'
const WORDS = 20
const EVERY_MS = 25

/** Of an SSE stream, as text. */
export const isWholeStream = (body: string): boolean => body.includes(`"content":"w${WORDS} "`) && body.endsWith('data: [DONE]\n\n')

/** Resolves once the model is ready at the gateways. */
export async function startQuickModel(cluster: Cluster, namespace: string): Promise<void> {
  const metadata = { name: NAME, namespace }
  const apiVersion = 'llamaswap.dev/v1alpha1'
  const backend = { name: NAME, service: { name: NAME, port: { name: 'http' } }, engine: 'Generic' }
  await startWordsEngine(cluster, { ...metadata, words: WORDS, everyMs: EVERY_MS })
  await cluster.apply([
    { apiVersion, kind: 'LlamaModel', metadata, spec: { backends: [backend] } },
    {
      apiVersion,
      kind: 'RoutingPolicy',
      metadata: { name: 'auto', namespace },
      spec: { virtualModels: ['auto'], targets: [{ model: NAME }] },
    },
  ])
  try {
    await kubectl(cluster, ['-n', namespace, 'wait', '--for=condition=Ready', '--timeout=30s', `llamamodel/${NAME}`, 'routingpolicy/auto'])
  } catch (error) {
    throw new Error(`the model did not become ready\n${await stateOf(cluster, namespace)}`, { cause: error })
  }
}
