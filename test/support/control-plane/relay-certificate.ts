import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

export interface ServerCertificate {
  /** PEM of the authority that signed it: what clients have to trust. */
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3_600_000

/** A new authority and a certificate of it for 127.0.0.1 and localhost, good since two hours ago and for a day, or until `notAfterMs`. */
export async function makeServerCertificate(notAfterMs = Date.now() + 24 * HOUR_MS): Promise<ServerCertificate> {
  const [authority, server] = await Promise.all([makeKeys(), makeKeys()])
  const times = { notBefore: new Date(Date.now() - 2 * HOUR_MS), notAfter: new Date(notAfterMs) }
  const name = `CN=relay-ca-${Date.now()}`
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...times,
    name,
    keys: authority,
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(true, undefined, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  })
  const cert = await X509CertificateGenerator.create({
    ...times,
    subject: 'CN=relay',
    issuer: name,
    publicKey: server.publicKey,
    signingKey: authority.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new SubjectAlternativeNameExtension([
        { type: 'ip', value: '127.0.0.1' },
        { type: 'dns', value: 'localhost' },
      ]),
    ],
  })
  return { ca: ca.toString('pem'), cert: cert.toString('pem'), key: await pemOf(server.privateKey) }
}

const makeKeys = async (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`
}
