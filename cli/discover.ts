/**
 * Finds the engines that already run on this host, and describes them as LlamaModels. In: ports to try. Out: addresses and model names,
 * then resources. One request each, all at once, none of which loads a model; what does not answer in time is not there.
 */

/** Where engines listen unless told otherwise: Ollama, vLLM, SGLang, LM Studio. */
export const ENGINE_PORTS: readonly number[] = [11434, 8000, 30000, 1234]

export interface DiscoverOptions {
  ports?: readonly number[]
  host?: string
  timeoutMs?: number
}

export interface FoundEngine {
  /** "http://127.0.0.1:11434", without a path. */
  url: string
  models: readonly string[]
}

/** A LlamaModel as a manifest says it. */
export interface LlamaModelManifest {
  apiVersion: 'llamaswap.dev/v1alpha1'
  kind: 'LlamaModel'
  metadata: { name: string; labels?: Record<string, string> }
  spec: { modelName: string; backends: { name: string; url: string; engine: 'Auto' }[] }
}

const MAX_ANSWER_CHARACTERS = 1_048_576
/** What a LlamaModel accepts as `modelName`. */
const MODEL_NAME = /^[A-Za-z0-9]([A-Za-z0-9._:/@+-]{0,251}[A-Za-z0-9])?$/
const MAX_BACKENDS = 16

/** Engines that answered with a list of at least one model, in the order of the ports. Rejects never. */
export async function discoverEngines(options: DiscoverOptions = {}): Promise<FoundEngine[]> {
  const { ports = ENGINE_PORTS, host = '127.0.0.1', timeoutMs = 300 } = options
  const found = await Promise.all(ports.map((port) => modelsAt(`http://${host}:${port}`, timeoutMs)))
  return found.flatMap((engine) => engine ?? [])
}

async function modelsAt(url: string, timeoutMs: number): Promise<FoundEngine | undefined> {
  try {
    const response = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
    const body = await response.text()
    if (!response.ok || isOurs(response.headers) || body.length > MAX_ANSWER_CHARACTERS) return undefined
    const models = modelIds(JSON.parse(body))
    return models.length === 0 ? undefined : { url, models }
  } catch {
    return undefined
  }
}

/** A llama-swap is no engine: taking it for one would route in circles. */
function isOurs(headers: Headers): boolean {
  return [...headers.keys()].some((name) => name.startsWith('x-llama-swap-'))
}

/** Ids of an OpenAI model list that can be served names; none when it is not such a list, or one of ours. */
function modelIds(json: unknown): string[] {
  const rows = entries(json)
  if (rows.some((row) => 'owned_by' in row && row.owned_by === 'llama-swap')) return []
  const ids = rows.flatMap((row) => ('id' in row && typeof row.id === 'string' && MODEL_NAME.test(row.id) ? [row.id] : []))
  return [...new Set(ids)]
}

function entries(json: unknown): object[] {
  if (typeof json !== 'object' || json === null || !('data' in json) || !Array.isArray(json.data)) return []
  return json.data.filter((row: unknown) => typeof row === 'object' && row !== null)
}

/** One LlamaModel for each model name; one found at several addresses has as many backends. `simulated` marks engines of our own. */
export function toLlamaModels(found: readonly FoundEngine[], simulated = false): LlamaModelManifest[] {
  const urls = new Map<string, string[]>()
  for (const { url, models } of found) for (const model of models) urls.set(model, [...(urls.get(model) ?? []), url])
  const names = new Set<string>()
  return [...urls].map(([model, at]) => {
    const name = freeName(objectName(model), names)
    names.add(name)
    return {
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'LlamaModel',
      metadata: { name, ...(simulated ? { labels: { 'llamaswap.dev/simulated': 'true' } } : {}) },
      spec: { modelName: model, backends: at.slice(0, MAX_BACKENDS).map(backendAt) },
    }
  })
}

function backendAt(url: string): { name: string; url: string; engine: 'Auto' } {
  return { name: `port-${new URL(url).port}`, url: `${url}/v1`, engine: 'Auto' }
}

/** A name that Kubernetes would take: "hf.co/A/B:Q4_K_M" → "hf-co-a-b-q4-k-m". At most 58 characters, so that a number still fits. */
function objectName(model: string): string {
  const name = model
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 58)
  return name.replace(/^-+|-+$/g, '') || 'model'
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  for (let number = 2, candidate = name; ; number += 1) {
    if (!taken.has(candidate)) return candidate
    candidate = `${name}-${number}`
  }
}
