import { WEBHOOK_NAME } from '../inject/manifests.ts'
import { unless } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { fieldsOf, listOf } from '../validate/raw-fields.ts'

const FIELD_MANAGER = 'llama-swap'
const API = 'admissionregistration.k8s.io/v1'
const KIND = 'MutatingWebhookConfiguration'

/**
 * Tells the API server whom to trust at the webhook, and owns nothing else of its configuration. At rest it writes nothing. Without a
 * configuration there is nothing to tell: who installs it makes it.
 */
export async function publishCaBundle(
  client: Pick<KubeClient, 'get' | 'serverSideApply'>,
  name: string,
  bundle: string,
  signal: AbortSignal,
): Promise<void> {
  const path = `/apis/${API}/mutatingwebhookconfigurations/${name}`
  const caBundle = Buffer.from(bundle).toString('base64')
  const configuration = await unless([404], () => client.get(path, { signal }))
  const webhook = listOf(fieldsOf(configuration)['webhooks']).find((one) => one['name'] === WEBHOOK_NAME)
  if (webhook === undefined || fieldsOf(webhook['clientConfig'])['caBundle'] === caBundle) return
  const body = { apiVersion: API, kind: KIND, metadata: { name }, webhooks: [{ name: WEBHOOK_NAME, clientConfig: { caBundle } }] }
  await client.serverSideApply(path, body, { fieldManager: FIELD_MANAGER, force: true, signal })
}
