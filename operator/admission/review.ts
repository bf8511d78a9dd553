import type { Verdict } from '../inject/inject.ts'
import { type Fields, isFields } from '../validate/problem.ts'
import { fieldsOf, textOf } from '../validate/raw-fields.ts'

/** What the API server asks about a Pod that is to be made. */
export interface Review {
  readonly uid: string
  readonly namespace: string
  readonly pod: Fields
  /** Nothing will come of it: it is not counted. */
  readonly dryRun: boolean
}

/** Undefined = it is no AdmissionReview of version 1 about an object. */
export function readReview(text: string): Review | undefined {
  const body = fieldsOf(jsonOf(text))
  const { uid, namespace, object, dryRun } = fieldsOf(body['request'])
  if (body['kind'] !== 'AdmissionReview' || body['apiVersion'] !== 'admission.k8s.io/v1' || !isFields(object)) return undefined
  return textOf(uid) === '' ? undefined : { uid: textOf(uid), namespace: textOf(namespace), pod: object, dryRun: dryRun === true }
}

/** Of a header, which is what warnings become. */
const MAX_WARNING = 256
const MAX_WARNINGS = 8

/** Always "allowed". */
export function answerOf({ uid }: Review, verdict: Pick<Verdict, 'patch' | 'warnings'>): Fields {
  const warnings = verdict.warnings.slice(0, MAX_WARNINGS).map((warning) => warning.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_WARNING))
  const patch = Buffer.from(JSON.stringify(verdict.patch)).toString('base64')
  const response = {
    uid,
    allowed: true,
    ...(verdict.patch.length > 0 && { patchType: 'JSONPatch', patch }),
    ...(warnings.length > 0 && { warnings }),
  }
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
