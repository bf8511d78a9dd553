import { KubeConfig } from '@kubernetes/client-node'

/**
 * Reads a kubeconfig file; without one `$KUBECONFIG`, `~/.kube/config` or the pod's own ServiceAccount, in this order.
 * Throws when there is nothing to read or it names no server.
 */
export function loadKubeConfig(file?: string): KubeConfig {
  const config = new KubeConfig()
  if (file === undefined) config.loadFromDefault()
  else config.loadFromFile(file)
  return config
}
