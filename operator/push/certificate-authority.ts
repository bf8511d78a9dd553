import 'reflect-metadata'
import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** PEM, both. The key is PKCS#8. */
export interface KeyedCertificate {
  readonly cert: string
  readonly key: string
}

export interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
export const CA_LIFE_MS = 365 * DAY_MS
export const LEAF_LIFE_MS = 7 * DAY_MS
/** Clocks differ: what is made now is valid since then. */
export const BACKDATED_MS = 3_600_000

export async function makeAuthority(nowMs: number): Promise<KeyedCertificate> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const serialNumber = makeSerial()
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name: `CN=llama-swap push CA ${serialNumber.slice(-8)}`,
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(nowMs + CA_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: pem(made), key: await keyPem(keys.privateKey) }
}

/** For a server of these names: DNS names, or addresses. Never valid for longer than its authority. */
export async function signServer(authority: KeyedCertificate, names: readonly string[], nowMs: number): Promise<KeyedCertificate> {
  const issuer = new X509Certificate(authority.cert)
  const signingKey = await crypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(authority.key), ALGORITHM, false, ['sign'])
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const made = await X509CertificateGenerator.create({
    serialNumber: makeSerial(),
    subject: 'CN=llama-swap operator',
    issuer: issuer.subject,
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(Math.min(nowMs + LEAF_LIFE_MS, issuer.notAfter.getTime())),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await AuthorityKeyIdentifierExtension.create(issuer),
    ],
  })
  return { cert: pem(made), key: await keyPem(keys.privateKey) }
}

/** Undefined = no certificate. */
export function validityOf(cert: string): Validity | undefined {
  try {
    const { notBefore, notAfter } = new X509Certificate(cert)
    return { notBeforeMs: notBefore.getTime(), notAfterMs: notAfter.getTime() }
  } catch {
    return undefined
  }
}

const pem = (certificate: X509Certificate): string => `${certificate.toString('pem')}\n`

async function keyPem(key: CryptoKey): Promise<string> {
  return `${PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
}

/** Positive, 16 bytes, as RFC 5280 §4.1.2.2 wants it. */
const makeSerial = (): string => `40${randomBytes(15).toString('hex')}`
