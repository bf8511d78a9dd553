/** `make cluster`: a real one-node cluster that stays until Ctrl-C, for kubectl, helm and a llama-swap under development. */
import { once } from 'node:events'
import { removeNode, startNode } from './node.ts'
import { prepared } from './prepare.ts'

const NAME = 'cluster'
const from = prepared()
const start = performance.now()
const { access } = await startNode(NAME, from, 'tied')
console.log(`A node with DNS and all images is up after ${((performance.now() - start) / 1000).toFixed(1)} s. It is reached only from its own network:

  sh test/support/one-node/in.sh ${NAME} sh                  a shell there: kubectl, helm and helm3 are on PATH and lead to it
  sh test/support/one-node/in.sh ${NAME} kubectl get pods -A

Its kubeconfig is ${access.kubeconfig}, its logs are in ${access.logs}
Ctrl-C ends it and removes all of it.`)
const alive = setInterval(() => undefined, 60_000)
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
clearInterval(alive)
await removeNode(NAME)
