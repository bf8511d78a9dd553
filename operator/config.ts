/** What an operator is told at its start, parsed. The command line makes it (`cli/operator.ts`); nothing here reads flags or the environment. */
import type { OwnAccount } from './kube/own-account.ts'
import type { AddressSettings } from './resources/snapshot.ts'

export interface OperatorConfig {
  /** Where the operator runs: its Leases, its CA. */
  readonly namespace: string
  /** It owns what the operator makes for itself here. Absent outside of a cluster. */
  readonly account?: OwnAccount
  /** Of this process alone: "pod name_uuid". */
  readonly identity: string
  /** Name of the leader Lease; with the namespace it is the install's name. */
  readonly install: string
  readonly namespaces: 'all' | readonly string[]
  /** "namespace/name" of the accounts whose proxies are gateways. */
  readonly gatewayServiceAccounts: readonly string[]
  readonly host: string
  readonly pushPort: number
  readonly metricsPort: number
  /** On loopback only. */
  readonly adminPort: number
  /** DNS names and addresses under which proxies dial this replica. */
  readonly pushNames: readonly string[]
  /** Where proxies reach this replica, told to those who ask a standby. */
  readonly address?: string
  /** Namespaces that get the push's CA bundle besides the operator's own. */
  readonly bundleNamespaces: readonly string[]
  /** Where sidecars reach backends that need a credential. */
  readonly gatewayUrl?: string
  readonly addresses: AddressSettings
  /** Absent: no sidecars are injected. */
  readonly sidecars?: SidecarConfig
}

export interface SidecarConfig {
  readonly image: string
  /** Auto: native where the cluster can. */
  readonly mode: 'Auto' | 'Native' | 'Classic'
  /** Where sidecars dial. */
  readonly operatorUrl: string
  /** Of the webhook. */
  readonly port: number
  /** Name of the MutatingWebhookConfiguration. */
  readonly webhook: string
}

/** The part of a structured logger that an operator uses. */
export type Log = Readonly<
  Record<'debug' | 'info' | 'warn' | 'error', (message: string, fields?: Readonly<Record<string, unknown>>) => void>
>
