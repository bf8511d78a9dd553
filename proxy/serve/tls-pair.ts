import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'

export interface PairFiles {
  /** PEM: the certificate and, behind it, those that signed it. */
  readonly certFile: string
  readonly keyFile: string
}

/** As text, not looked at yet. */
export interface PairText {
  readonly cert: string
  readonly key: string
}

export interface Pair extends PairText {
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number
}

const MAX_READS = 3

/** Both files of one time: a mounted Secret may be replaced between two reads. Rejects if one cannot be read. */
export async function readPair({ certFile, keyFile }: PairFiles): Promise<PairText> {
  let cert = await readFile(certFile, 'utf8')
  for (let reads = 1; ; reads++) {
    const key = await readFile(keyFile, 'utf8')
    const again = await readFile(certFile, 'utf8')
    if (again === cert || reads === MAX_READS) return { cert: again, key }
    cert = again
  }
}

/** Throws, with one line that names the file, what TLS could not be spoken with. */
export function checkPair({ cert, key }: PairText, { certFile, keyFile }: PairFiles): Pair {
  const certificate = parsed(() => new X509Certificate(cert), certFile, 'no certificate in PEM')
  const privateKey = parsed(() => createPrivateKey(key), keyFile, 'no private key in PEM')
  if (!certificate.checkPrivateKey(privateKey)) throw new Error(`the key in ${keyFile} is not that of the certificate in ${certFile}`)
  parsed(() => createSecureContext({ cert, key }), certFile, 'no certificate that TLS can be spoken with')
  return { cert, key, expiresAtMs: certificate.validToDate.getTime() }
}

function parsed<T>(parse: () => T, file: string, what: string): T {
  try {
    return parse()
  } catch (error) {
    throw new Error(`${file} is ${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
