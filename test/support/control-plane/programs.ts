/** The programs of a control plane and their flags. In: its folder and ports. Out: arguments of the program that build.sh makes. */

export interface Layout {
  readonly folder: string
  readonly apiPort: number
  readonly etcdPort: number
  readonly etcdPeerPort: number
  readonly serviceCidr: string
  readonly apiServerFlags: readonly string[]
  readonly controllers: readonly string[]
}

/**
 * Those that act without a kubelet. Not node-lifecycle: no kubelet renews our nodes, it would taint them after 50 s. A short list is quick:
 * with all of them a new namespace is usable 4 s later.
 */
export const CONTROLLERS = [
  'deployment-controller',
  'replicaset-controller',
  'statefulset-controller',
  'daemonset-controller',
  'job-controller',
  'endpoints-controller',
  'endpointslice-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
  'root-ca-certificate-publisher-controller',
  'namespace-controller',
  'garbage-collector-controller',
  'pod-garbage-collector-controller',
  'disruption-controller',
]

/** Names no bytes to the disk for sure: a test's machine that loses its power loses the test. */
export function etcdArgs({ folder, etcdPort, etcdPeerPort }: Layout): string[] {
  const client = `http://127.0.0.1:${etcdPort}`
  const peer = `http://127.0.0.1:${etcdPeerPort}`
  return [
    'etcd',
    `--data-dir=${folder}/etcd`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]
}

export function apiServerArgs({ folder, apiPort, etcdPort, serviceCidr, apiServerFlags }: Layout): string[] {
  return [
    'kube-apiserver',
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${apiPort}`,
    // Without it a machine without a default route has no API server; the reconciler would refuse a loopback address.
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--service-cluster-ip-range=${serviceCidr}`,
    '--authorization-mode=RBAC',
    '--anonymous-auth=true', // /readyz
    `--client-ca-file=${folder}/ca.crt`,
    `--token-auth-file=${folder}/tokens.csv`,
    `--tls-cert-file=${folder}/apiserver.crt`,
    `--tls-private-key-file=${folder}/apiserver.key`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${folder}/sa.pub`,
    `--service-account-signing-key-file=${folder}/sa.key`,
    '--allow-privileged=true',
    '--profiling=false',
    ...apiServerFlags,
  ]
}

export function controllerManagerArgs({ folder, controllers }: Layout): string[] {
  return [
    'kube-controller-manager',
    `--kubeconfig=${folder}/controller-manager.kubeconfig`,
    '--leader-elect=false',
    '--secure-port=0',
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${folder}/sa.key`,
    `--root-ca-file=${folder}/ca.crt`,
    `--controllers=${controllers.join(',')}`,
    '--profiling=false',
  ]
}
