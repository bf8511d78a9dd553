/**
 * The rights that --print-rbac prints: each of them is used, nothing else is asked for, and one that is missing is named with what to add.
 * Calls are read from the API servers' audit logs.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { webhookConfigurationName } from '../../operator/inject/manifests.ts'
import { type NeededRights, neededRights, operatorRights, type Rule } from '../../operator/workloads/rbac.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { startControlPlane } from '../support/control-plane/control-plane.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { engineAt, install, printed } from '../support/installation.ts'
import { say } from './installed-ground.ts'

requirePrivateNetwork()
let shared: Cluster
before(async () => {
  shared = await sharedControlPlane()
})

type Scope = 'namespaced' | 'cluster-wide'
const SCOPES: readonly Scope[] = ['namespaced', 'cluster-wide']
const INJECTING = 'cluster-wide, injecting sidecars'
/** A watch counts its objects within 45 s, and a problem that comes again is counted after 30 s; on a busy machine later. */
const LIFE_MS = 180_000
const LOOK_EVERY_MS = 500

/** "pods/status patch" with its group, and where. */
interface Asked {
  readonly namespace: string
  readonly what: string
  readonly code: number
}

interface Audited {
  readonly cluster: Cluster
  asked(username: string): readonly Asked[]
}

async function startAudited(t: TestContext): Promise<Audited> {
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-audit-'))
  const [policy, log] = [join(folder, 'policy.json'), join(folder, 'audit.log')]
  const rules = [{ level: 'Metadata', userGroups: ['system:serviceaccounts'], omitStages: ['RequestReceived'] }, { level: 'None' }]
  writeFileSync(policy, JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules }))
  const apiServerFlags = [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`]
  const cluster = await startControlPlane({ apiServerFlags })
  t.after(async () => {
    await cluster.stop()
    rmSync(folder, { recursive: true })
  })
  const lines = (): readonly string[] => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(0, -1) : [])
  return { cluster, asked: (username) => lines().flatMap((line) => askedBy(username, line)) }
}

/** What makes an object by server-side apply needs the right to create it too. */
function askedBy(username: string, line: string): readonly Asked[] {
  const event: unknown = JSON.parse(line)
  if (valueAt(event, 'user', 'username') !== username) return []
  const at = (...path: readonly string[]): string => {
    const found = valueAt(event, ...path)
    return typeof found === 'string' ? found : ''
  }
  const part = at('objectRef', 'subresource')
  const thing = `${at('objectRef', 'apiGroup')} ${at('objectRef', 'resource')}${part === '' ? '' : `/${part}`}`
  const code = Number(valueAt(event, 'responseStatus', 'code'))
  const verbs = at('verb') === 'patch' && code === 201 ? ['patch', 'create'] : [at('verb')]
  return verbs.map((verb) => ({ namespace: at('objectRef', 'namespace'), what: `${thing} ${verb}`, code }))
}

const whatOf = ({ apiGroups, resources, verbs }: Rule): readonly string[] =>
  apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${group} ${resource} ${verb}`)))

const allows = ({ namespace, rules }: NeededRights, asked: Asked): boolean =>
  (namespace === undefined || namespace === asked.namespace) && rules.some((rule) => whatOf(rule).includes(asked.what))

/** Everybody may ask about himself and for the issuer's keys. */
const isFree = ({ what }: Asked): boolean => what.startsWith('authorization.k8s.io ') || what.startsWith('  ')

type Cases = Map<string, (t: TestContext) => Promise<void>>
/** They wait most of the time, … */
const LIVES: Cases = new Map()
/** … while these work, one after the other. */
const LACKS: Cases = new Map()

test('the rights that are printed', { concurrency: 3 }, async (t) => {
  const lives = [...LIVES].map(([name, run]) => t.test(name, run))
  const lacks = t.test('a right that is missing', async (t) => {
    for (const [name, run] of LACKS) await t.test(name, run)
  })
  await Promise.all([...lives, lacks])
})

for (const scope of [...SCOPES, INJECTING]) {
  LIVES.set(`${scope}: every right is used, and nothing else is asked for`, async (t) => {
    const { cluster, asked } = await startAudited(t)
    await t.test('in a whole life', async (t) => {
      const team = await cluster.namespace()
      const apps = await cluster.namespace({ 'llamaswap.dev/inject': 'true' })
      const sidecars = scope === INJECTING ? ['--sidecar-image', 'registry.example/llama-swap:1'] : []
      const args = ['--bundle-namespaces', apps, ...sidecars]
      const installed = await install(cluster, scope === 'namespaced' ? { namespaces: [team], args } : { args })
      const { namespace } = installed
      if (scope === INJECTING) await cluster.apply(printed(['--print-webhook', '--namespace', namespace, ...sidecars]))
      const needed = neededRights({
        namespace,
        namespaces: scope === 'namespaced' ? [team] : 'all',
        bundleNamespaces: [apps],
        ...(scope === INJECTING && { webhook: webhookConfigurationName(namespace) }),
      })
      const byOperator = (): readonly Asked[] => asked(`system:serviceaccount:${namespace}:llama-swap-operator`)
      await live(t, cluster, installed, { team, apps })
      await eventually(async () => {
        await delay(LOOK_EVERY_MS)
        const used = byOperator()
        assert.deepEqual(
          needed.flatMap((rights) => unused(rights, used)),
          [],
        )
      }, LIFE_MS)
      const all = byOperator()
      const more = all.filter((one) => !isFree(one) && !needed.some((rights) => allows(rights, one)))
      assert.deepEqual([...new Set(more.map(({ what }) => what))], [])
      assert.deepEqual(
        all.filter(({ code }) => code === 403),
        [],
      )
    })
  })
}

const unused = ({ namespace, role, rules }: NeededRights, used: readonly Asked[]): readonly string[] =>
  rules
    .flatMap(whatOf)
    .filter((what) => !used.some((one) => one.what === what && (namespace === undefined || namespace === one.namespace)))
    .map((what) => `${what} (${role})`)

/** All that makes an operator use its rights: references, mistakes that come, go and come again, and an authority that was lost. */
async function live(
  t: TestContext,
  cluster: Cluster,
  installed: Awaited<ReturnType<typeof install>>,
  { team, apps }: { readonly team: string; readonly apps: string },
): Promise<void> {
  const first = await installed.operator(t)
  // The log of a call that was cut off does not say that it made something: all bundles are there before the first operator ends.
  for (const namespace of [installed.namespace, apps]) {
    await eventually(() => cluster.ask('GET', `/api/v1/namespaces/${namespace}/configmaps/llama-swap-push-ca`))
  }
  await first.close()
  const own = `/api/v1/namespaces/${installed.namespace}`
  const bundle = (): Promise<string> =>
    cluster.ask('GET', `${own}/configmaps/llama-swap-push-ca`).then((map) => textAt(map, 'data', 'ca.crt'))
  const lost = await bundle()
  await cluster.ask(
    'PATCH',
    `${own}/secrets/llama-swap-push-ca`,
    [{ op: 'replace', path: '/data', value: {} }],
    'application/json-patch+json',
  )
  await installed.operator(t, { name: 'operator-1' })
  await eventually(async () => assert.notEqual(await bundle(), lost))
  const gateway = await installed.gateway(t, { args: ['--anonymous-namespace', team] })
  const pod = await cluster.makePod({ namespace: team, name: 'gpu-0', labels: { app: 'gpu' } })
  await engineAt(t, pod.ip, 8000)
  const models = `/apis/llamaswap.dev/v1alpha1/namespaces/${team}/llamamodels`
  const broken = (service: string): Promise<unknown> =>
    cluster.apply(`
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: broken, namespace: ${team}}
spec: {backends: [{name: b, service: {name: ${service}, port: {number: 80}}}]}
`)
  await cluster.apply(`
apiVersion: v1
kind: Service
metadata: {name: gpu, namespace: ${team}}
spec: {selector: {app: gpu}, ports: [{port: 80, targetPort: 8000}]}
---
apiVersion: v1
kind: Secret
metadata: {name: provider, namespace: ${team}}
stringData: {key: upstream}
---
apiVersion: v1
kind: Secret
metadata: {name: app, namespace: ${team}, labels: {llamaswap.dev/api-key: "true"}}
stringData: {key: too-short}
---
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: llama, namespace: ${team}}
spec: {backends: [{name: gpu, service: {name: gpu, port: {number: 80}}, auth: {type: Header, secretRefs: [{name: provider, key: key}]}}]}
---
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto, namespace: ${team}}
spec: {virtualModels: [auto], targets: [{model: llama}]}
`)
  await broken('missing')
  await eventually(async () => {
    const { status, text } = await say(gateway, 'auto')
    assert.equal(status, 200, text)
  })
  const resolves = (status: string): Promise<void> =>
    eventually(async () => {
      const conditions = listAt(await cluster.ask('GET', `${models}/broken`), 'status', 'conditions')
      const found = conditions.find((condition) => valueAt(condition, 'type') === 'ResolvedRefs')
      assert.equal(valueAt(found, 'status'), status)
    })
  await resolves('False')
  await broken('gpu')
  await resolves('True')
  await broken('missing')
  await resolves('False')
}

/** The rights of an installation without the verb at this place of each rule, and what its log has to say of each. */
function lacking(
  namespace: string,
  namespaces: 'all' | readonly string[],
  place: number,
): { rights: readonly object[]; says: readonly RegExp[] } {
  const dropped = (rules: readonly Rule[]): readonly Rule[] =>
    rules.flatMap((rule) => {
      const verbs = rule.verbs.filter((_, index) => index !== place)
      return verbs.length === 0 ? [] : [{ ...rule, verbs }]
    })
  const rights = operatorRights({ namespace, serviceAccount: 'llama-swap-operator', namespaces }).map((manifest) => {
    const rules = neededRights({ namespace, namespaces }).find(({ role }) => role === manifest.metadata.name)?.rules
    return 'rules' in manifest && rules !== undefined ? { ...manifest, rules: dropped(rules) } : manifest
  })
  const says = neededRights({ namespace, namespaces }).flatMap((needed) =>
    needed.rules.flatMap(({ apiGroups: [group], resources, verbs }) => {
      const verb = verbs[place]
      const where = needed.namespace === undefined ? 'all namespaces' : `namespace ${needed.namespace}`
      return verb === undefined
        ? []
        : new RegExp(
            `may not ${verb} ${resources.join(', ')} in ${where}\\. Add a rule with apiGroups \\["${group}"\\], resources .*, verbs \\["${verb}"\\] to its (Cluster)?Role ${needed.role}`,
          )
    }),
  )
  return { rights, says }
}

for (const scope of SCOPES) {
  LACKS.set(`${scope}: a verb that is missing is named at the start, with what to add`, async (t) => {
    const team = await shared.namespace()
    const namespaces = scope === 'namespaced' ? [team] : 'all'
    for (const place of [0, 1, 2]) {
      const installed = await install(shared, scope === 'namespaced' ? { namespaces: [team] } : {})
      const { rights, says } = lacking(installed.namespace, namespaces, place)
      for (const one of rights) await shared.apply({ ...one })
      const { program, close } = await installed.operator(t)
      await eventually(async () => {
        for (const words of says)
          assert.ok(
            program.lines().some(({ msg, level }) => level === 'error' && words.test(String(msg))),
            String(words),
          )
      }, 30_000)
      await close()
      t.diagnostic(`verb ${place + 1} of each rule: ${says.length} named`)
    }
  })
}

LACKS.set('a right that is taken away is named when it is missed, and used again when it is back', async (t) => {
  const team = await shared.namespace()
  const installed = await install(shared, { namespaces: [team] })
  const { program } = await installed.operator(t)
  await program.line(({ msg }) => msg === 'leading')
  const { namespace } = installed
  const all = operatorRights({ namespace, serviceAccount: 'llama-swap-operator', namespaces: [team] })
  for (const one of lacking(namespace, [team], 0).rights) await shared.apply({ ...one })
  await shared.apply(`
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: rented, namespace: ${team}}
spec: {backends: [{name: b, url: "https://api.example.com"}]}
`)
  const isTold = (): Promise<void> =>
    eventually(
      async () => assert.match(program.output(), /may not patch llamamodels\/status, routingpolicies\/status in namespace/),
      30_000,
    )
  await isTold()
  for (const one of all) await shared.apply({ ...one })
  await eventually(async () => {
    const model = await shared.ask('GET', `/apis/llamaswap.dev/v1alpha1/namespaces/${team}/llamamodels/rented`)
    assert.equal(valueAt(model, 'status', 'conditions', 0, 'type'), 'Accepted')
  }, 60_000)
})
