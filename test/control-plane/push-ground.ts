import { KubeConfig } from '@kubernetes/client-node'
import { KubeClient } from '../../operator/kube/client.ts'

/** The operator's own client, as the administrator. Owner: the caller. */
export function clientOf({ kubeconfig }: { readonly kubeconfig: string }): KubeClient {
  return new KubeClient({
    load: () => {
      const config = new KubeConfig()
      config.loadFromFile(kubeconfig)
      return config
    },
  })
}
