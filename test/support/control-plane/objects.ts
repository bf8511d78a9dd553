/** Applies objects of any kind by server-side apply. In: YAML or objects. Out: what the server made of them. */
import { loadAll } from 'js-yaml'
import { eventually } from '../eventually.ts'
import { type Api, listAt, textAt, valueAt } from './api.ts'

export type KubeObject = Readonly<Record<string, unknown>>

const CRD_WITHIN_MS = 20_000

export class Objects {
  readonly #api: Api
  /** "apps/v1 Deployment" → its collection, "deployments", and whether it lies in namespaces. */
  readonly #kinds = new Map<string, { readonly plural: string; readonly namespaced: boolean }>()

  constructor(api: Api) {
    this.#api = api
  }

  /**
   * In their order, unknown fields refused, fields that another manager owns taken over. `namespace` is for objects that name none.
   * A CustomResourceDefinition is waited for until its objects can be made. Rejects with the server's words.
   */
  async apply(what: string | KubeObject | readonly KubeObject[], namespace = 'default'): Promise<unknown[]> {
    const objects: readonly unknown[] = typeof what === 'string' ? loadAll(what) : Array.isArray(what) ? what : [what]
    const applied: unknown[] = []
    for (const object of objects.filter((one) => one !== null)) applied.push(await this.#applyOne(object, namespace))
    return applied
  }

  /** The path of an object that is there or may come. Rejects when its kind is unknown to the server. */
  async pathOf(object: unknown, namespace = 'default'): Promise<string> {
    const version = textAt(object, 'apiVersion')
    const kind = await this.#kindOf(version, textAt(object, 'kind'))
    const root = version.includes('/') ? `/apis/${version}` : `/api/${version}`
    const own = valueAt(object, 'metadata', 'namespace')
    const inside = kind.namespaced ? `/namespaces/${typeof own === 'string' ? own : namespace}` : ''
    return `${root}${inside}/${kind.plural}/${textAt(object, 'metadata', 'name')}`
  }

  async #applyOne(object: unknown, namespace: string): Promise<unknown> {
    const path = `${await this.pathOf(object, namespace)}?fieldManager=test&force=true&fieldValidation=Strict`
    const applied = await this.#api.ask('PATCH', path, object, 'application/apply-patch+yaml')
    if (valueAt(object, 'kind') === 'CustomResourceDefinition') await eventually(() => this.#served(object), CRD_WITHIN_MS)
    return applied
  }

  async #served(crd: unknown): Promise<void> {
    const group = textAt(crd, 'spec', 'group')
    const version = textAt(crd, 'spec', 'versions', 0, 'name')
    const kind = textAt(crd, 'spec', 'names', 'kind')
    const plural = textAt(crd, 'spec', 'names', 'plural')
    await this.#api.ask('GET', `/apis/${group}/${version}/${plural}?limit=1`)
    await this.#kindOf(`${group}/${version}`, kind)
  }

  async #kindOf(version: string, kind: string): Promise<{ plural: string; namespaced: boolean }> {
    const name = `${version} ${kind}`
    if (!this.#kinds.has(name)) await this.#discover(version)
    const found = this.#kinds.get(name)
    if (found === undefined) throw new Error(`the API server knows no ${name}`)
    return found
  }

  async #discover(version: string): Promise<void> {
    const served = await this.#api.ask('GET', version.includes('/') ? `/apis/${version}` : `/api/${version}`)
    for (const one of listAt(served, 'resources')) {
      const plural = textAt(one, 'name')
      if (!plural.includes('/'))
        this.#kinds.set(`${version} ${textAt(one, 'kind')}`, { plural, namespaced: valueAt(one, 'namespaced') === true })
    }
  }
}
