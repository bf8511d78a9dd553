import 'reflect-metadata'
import { generateKeyPairSync, webcrypto } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3_600_000
const NAMES = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local']

/**
 * Writes what a control plane is trusted by into `folder`: ca.crt, the API server's apiserver.crt and .key for loopback, the names in the
 * cluster and `addresses`, kubelet-client.crt and .key, which tell a kubelet that the API server calls, and the keys sa.key and sa.pub that
 * sign ServiceAccount tokens. Good for a day. Resolves with the CA as PEM.
 */
export async function writeAuthority(folder: string, addresses: readonly string[]): Promise<string> {
  const [authority, server, client] = await Promise.all([makeKeys(), makeKeys(), makeKeys()])
  const times = { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + 24 * HOUR_MS) }
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...times,
    name: 'CN=test-ca',
    keys: authority,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  })
  const issued = { ...times, issuer: ca.subject, signingKey: authority.privateKey, signingAlgorithm: ALGORITHM }
  const certificate = await X509CertificateGenerator.create({
    ...issued,
    subject: 'CN=kube-apiserver',
    publicKey: server.publicKey,
    extensions: [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([...NAMES.map(dnsName), ...['127.0.0.1', ...addresses].map(address)]),
    ],
  })
  const clientCertificate = await X509CertificateGenerator.create({
    ...issued,
    subject: 'O=system:masters, CN=apiserver-kubelet-client',
    publicKey: client.publicKey,
    extensions: [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])],
  })
  const keep = (name: string, text: string): void => writeFileSync(join(folder, name), text, { mode: 0o600 })
  keep('ca.crt', ca.toString('pem'))
  keep('apiserver.crt', certificate.toString('pem'))
  keep('apiserver.key', await pemOf(server.privateKey))
  keep('kubelet-client.crt', clientCertificate.toString('pem'))
  keep('kubelet-client.key', await pemOf(client.privateKey))
  const signer = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  keep('sa.key', signer.privateKey)
  keep('sa.pub', signer.publicKey)
  return ca.toString('pem')
}

const dnsName = (value: string): JsonGeneralName => ({ type: 'dns', value })
const address = (value: string): JsonGeneralName => ({ type: 'ip', value })

const makeKeys = async (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`
}
