/** `make control-plane`: a control plane with our CRDs that stays until Ctrl-C, for kubectl and for a llama-swap under development. */
import { once } from 'node:events'
import { fetchKubeTools, KUBECTL } from '../../../scripts/fetch-kube-tools.ts'
import { startControlPlane } from './control-plane.ts'

await fetchKubeTools((line) => console.log(line))
const plane = await startControlPlane()
await plane.installCrds()
console.log(`A control plane without nodes is at ${plane.url}; its logs are in ${plane.logs}

  export KUBECONFIG=${plane.kubeconfig}
  ${KUBECTL} get lmod,rpol -A

Ctrl-C ends it and removes all of it.`)
const alive = setInterval(() => undefined, 60_000)
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
clearInterval(alive)
await plane.stop()
