import type { Registry } from 'prom-client'
import type { CertificateReadings } from '../serve/tls-certificate.ts'
import { ReadCounter, ReadGauge, type Reading } from './readings.ts'

export interface TlsReadings extends CertificateReadings {
  /** Handshakes that came to nothing, by reason. */
  readonly failedHandshakes: ReadonlyMap<string, number>
}

/** Read when scraped. Undefined where the inference port speaks plain HTTP. */
export function registerTlsMetrics(registry: Registry, tls: (() => TlsReadings) | undefined): void {
  const read = (pick: (tls: TlsReadings) => readonly Reading[]) => (): readonly Reading[] => (tls === undefined ? [] : pick(tls()))
  new ReadGauge({
    name: 'llama_swap_tls_certificate_expiry_seconds',
    help: 'When the certificate of the inference port runs out, in seconds since the epoch; absent without TLS.',
    registry,
    read: read(({ expiresAtMs }) => (expiresAtMs === undefined ? [] : [{ labels: {}, value: expiresAtMs / 1000 }])),
  })
  new ReadCounter({
    name: 'llama_swap_tls_reloads_total',
    help: 'New certificates of the inference port; result is "applied" or "refused" (the one before stays in use).',
    labelNames: ['result'],
    registry,
    read: read(({ applied, refused }) => [
      { labels: { result: 'applied' }, value: applied },
      { labels: { result: 'refused' }, value: refused },
    ]),
  })
  new ReadCounter({
    name: 'llama_swap_tls_failed_handshakes_total',
    help: 'TLS handshakes of clients that came to nothing; reason is "plain_http", "version", "left", "timeout" or "other".',
    labelNames: ['reason'],
    registry,
    read: read(({ failedHandshakes }) => [...failedHandshakes].map(([reason, value]) => ({ labels: { reason }, value }))),
  })
}
