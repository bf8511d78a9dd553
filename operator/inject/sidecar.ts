import type { Fields } from '../validate/problem.ts'
import { type Amounts, amountsOf } from './amounts.ts'
import { CONTAINER_NAME, PUSH_VOLUME, type SidecarSettings, TABLE_VOLUME } from './names.ts'
import { portsOf, type SidecarPorts } from './ports.ts'

/** What differs from Pod to Pod. */
export interface SidecarOfPod {
  readonly ports: SidecarPorts
  /** Undefined: it has its part of the Pod's. */
  readonly amounts: Amounts | undefined
  /** The Pod's terminationGracePeriodSeconds. */
  readonly graceSeconds: number
  /** The app ends it, where it is classic. */
  readonly quits: boolean
}

const FILES = '/var/run/llama-swap'
const TABLE = '/var/lib/llama-swap'
/** The image's own. */
const USER = 65_532
/** The proxy counts as started after 5 s at most; the rest is for a node that is very busy. */
const STARTUP_FAILURES = 300
/** Of Kubernetes. */
export const DEFAULT_GRACE_SECONDS = 30

export function sidecarContainer(settings: SidecarSettings, { ports, amounts, graceSeconds, quits }: SidecarOfPod): Fields {
  return {
    name: CONTAINER_NAME,
    image: settings.image,
    ...(settings.mode === 'Native' && { restartPolicy: 'Always' }),
    args: [
      'proxy',
      '--mode=Sidecar',
      '--host=127.0.0.1',
      `--port=${ports.inference}`,
      `--admin-port=${ports.admin}`,
      '--metrics-host=$(POD_IP)',
      `--metrics-port=${ports.metrics}`,
      `--operator=${settings.operatorUrl}`,
      `--operator-ca=${FILES}/ca.crt`,
      `--operator-token=${FILES}/push-token`,
      `--client-token=${FILES}/client-token`,
      `--last-known-good=${TABLE}/table`,
      '--max-connection-age=0s',
      ...(quits && settings.mode === 'Classic' ? ['--quit=Asked'] : []),
      ...endingArgs(settings.mode, graceSeconds),
    ],
    env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
    ports: [{ name: 'llama-metrics', containerPort: ports.metrics }],
    startupProbe: {
      httpGet: { path: '/startupz', port: ports.metrics },
      periodSeconds: 1,
      timeoutSeconds: 5,
      failureThreshold: STARTUP_FAILURES,
    },
    ...(amounts !== undefined && { resources: { requests: { ...amounts.requests }, limits: { ...amounts.limits } } }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [
      { name: PUSH_VOLUME, mountPath: FILES, readOnly: true },
      { name: TABLE_VOLUME, mountPath: TABLE },
    ],
  }
}

/** What a Pod gets that says nothing about it: by this, one installation's sidecars are told from another's. */
export const defaultSidecar = (settings: SidecarSettings): Fields => {
  const silent = (): undefined => undefined
  const amounts = amountsOf({}, { ofPod: false, limitCpu: false, areGuaranteed: false }, silent)
  const common = { graceSeconds: DEFAULT_GRACE_SECONDS, quits: false }
  const container = sidecarContainer(settings, { ports: portsOf({}, silent), amounts, ...common })
  return { container, volumes: sidecarVolumes() }
}

/**
 * A native sidecar is told to end once the app has ended, so there is nothing to wait for. A classic one is told with the app, and goes on
 * taking requests for a third of the Pod's grace, ten seconds at most. All of it fits into the grace.
 */
function endingArgs(mode: SidecarSettings['mode'], graceSeconds: number): readonly string[] {
  const drain = mode === 'Native' ? 0 : Math.min(10, Math.floor(graceSeconds / 3))
  const grace = Math.max(1, Math.min(30, graceSeconds - drain - 2))
  return [`--drain-delay=${drain}s`, `--shutdown-grace=${grace}s`]
}

/** A namespace without the bundle, yet, must not keep a Pod from starting: the ConfigMap is optional, and the proxy dials until it is there. */
export function sidecarVolumes(): readonly Fields[] {
  const token = (audience: string, path: string): Fields => ({ serviceAccountToken: { audience, path, expirationSeconds: 3600 } })
  const sources = [
    { configMap: { name: 'llama-swap-push-ca', optional: true } },
    token('llama-swap-push', 'push-token'),
    token('llama-swap-client', 'client-token'),
  ]
  return [
    { name: PUSH_VOLUME, projected: { sources } },
    { name: TABLE_VOLUME, emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
  ]
}
