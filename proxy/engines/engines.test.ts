import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { anthropic } from './anthropic.ts'
import type { Answer } from './engine.ts'
import { type EngineCases, engineSuite } from './engines.suite.ts'
import { PROFILES, profileOf, recogniseEngine } from './engines.ts'
import { parsed } from './fields.ts'
import { generic } from './generic.ts'
import { llamaCpp } from './llama-cpp.ts'
import { lmdeploy } from './lmdeploy.ts'
import { localAi } from './local-ai.ts'
import { ollama } from './ollama.ts'
import { openai } from './openai.ts'
import { sglang } from './sglang.ts'
import { tensorRtLlm } from './tensorrt-llm.ts'
import { tgi } from './tgi.ts'
import { triton } from './triton.ts'
import { vllm } from './vllm.ts'

const FOLDER = join(import.meta.dirname, 'captured')
const used = new Set<string>()

function body(name: string): string {
  used.add(name)
  return readFileSync(join(FOLDER, name), 'utf8')
}

function json(name: string): unknown {
  return parsed(body(name))
}

function answer(value: unknown, headers: Answer['headers'] = {}, status = 200): Answer {
  return { status, headers, json: value }
}

const LLAMA = 'meta-llama/Llama-3.1-8B-Instruct'
const CHAT = ['chat', 'completions', 'responses', 'tools', 'jsonSchema'] as const
const LIST = '/v1/models'
const lists = {
  llama: json('llama-cpp.models.captured.json'),
  router: json('llama-cpp.models-router.captured.json'),
  vllm: json('vllm.models.documented.json'),
  ollama: json('ollama.models.documented.json'),
  openai: json('openai.models.documented.json'),
  anthropic: json('anthropic.models.documented.json'),
  sglang: json('sglang.models.documented.json'),
  tgi: json('tgi.models.documented.json'),
  trtLlm: json('tensorrt-llm.models.documented.json'),
  triton: json('triton.models.documented.json'),
  lmdeploy: json('lmdeploy.models.documented.json'),
  localAi: json('local-ai.models.documented.json'),
}

const SUITES: readonly EngineCases[] = [
  {
    profile: llamaCpp,
    recognised: [
      answer(lists.llama),
      answer(lists.router),
      answer(json('llama-cpp.health-loading.captured.json'), { server: 'llama.cpp' }, 503),
    ],
    requests: {
      health: '/health?model=a%2Fb&autoload=false',
      models: LIST,
      signals: ['/metrics?model=a%2Fb&autoload=false', '/slots?model=a%2Fb&autoload=false'],
    },
    health: [
      { says: 'ok is ready', status: 200, body: body('llama-cpp.health-ready.captured.json'), verdict: 'ready' },
      { says: 'a loading model', status: 503, body: body('llama-cpp.health-loading.captured.json'), verdict: 'loading' },
      { says: 'another 503 is bad', status: 503, body: '', verdict: 'bad' },
    ],
    models: [
      {
        says: 'the context is the one of a slot, not of the training',
        json: lists.llama,
        model: 'smollm2',
        facts: { upstreamModelFound: true, contextWindowTokens: 2048, capabilities: CHAT },
      },
      {
        says: 'a server of one model serves it under any name',
        json: lists.llama,
        model: 'another',
        facts: { upstreamModelFound: true, contextWindowTokens: 2048, capabilities: CHAT },
      },
      {
        says: 'a loaded model of a router',
        json: lists.router,
        model: 'said',
        facts: { upstreamModelFound: true, contextWindowTokens: 2048, capabilities: CHAT },
      },
      {
        says: 'a cold model of a router has no context yet',
        json: lists.router,
        model: 'tiny',
        facts: { upstreamModelFound: true, capabilities: CHAT },
      },
      { says: 'a router knows its models by name', json: lists.router, model: 'another', facts: { upstreamModelFound: false } },
    ],
    signals: [
      { says: 'idle', text: body('llama-cpp.metrics-idle.captured.txt'), model: 'smollm2', reading: { running: 0, waiting: 0 } },
      {
        says: 'one running, three queued',
        text: body('llama-cpp.metrics-busy.captured.txt'),
        model: 'tiny',
        reading: { running: 1, waiting: 3 },
      },
      {
        says: 'slots tell what runs, not what waits',
        text: body('llama-cpp.slots-busy.captured.json'),
        model: 'tiny',
        reading: { running: 1 },
      },
      { says: 'a cold model tells nothing', text: body('llama-cpp.metrics-cold.captured.json'), model: 'tiny', reading: {} },
    ],
  },
  {
    profile: vllm,
    recognised: [answer(lists.vllm)],
    requests: { health: '/health', models: LIST, signals: ['/metrics'] },
    health: [
      { says: '200 with an empty body', status: 200, body: '', verdict: 'ready' },
      { says: '503 when the engine process is dead', status: 503, body: '', verdict: 'bad' },
    ],
    models: [
      {
        says: 'the base model',
        json: lists.vllm,
        model: LLAMA,
        facts: { upstreamModelFound: true, contextWindowTokens: 131072, capabilities: CHAT },
      },
      {
        says: 'an adapter has the context of its parent',
        json: lists.vllm,
        model: 'sql-lora',
        facts: { upstreamModelFound: true, contextWindowTokens: 131072, capabilities: CHAT },
      },
      { says: 'an unknown name', json: lists.vllm, model: 'gone', facts: { upstreamModelFound: false } },
    ],
    signals: [
      {
        says: 'queues of all ranks add up, the fullest cache counts',
        text: body('vllm.metrics.documented.txt'),
        model: LLAMA,
        reading: { running: 12, waiting: 3, cacheUsed: 0.5 },
      },
      {
        says: 'the cache under its name before 0.9',
        text: body('vllm.metrics-old.documented.txt'),
        model: 'mistral-7b',
        reading: { running: 3, waiting: 0, cacheUsed: 0.125 },
      },
      { says: 'a value that is not a number is unknown', text: 'vllm:kv_cache_usage_perc NaN\n', model: 'm', reading: {} },
    ],
  },
  {
    profile: ollama,
    recognised: [answer(json('ollama.version.documented.json'))],
    requests: { health: '/', models: LIST, signals: ['/api/ps'] },
    health: [{ says: 'it is running', status: 200, body: body('ollama.root.documented.txt'), verdict: 'ready' }],
    models: [
      {
        says: 'a name without a tag means latest',
        json: lists.ollama,
        model: 'gemma3',
        facts: { upstreamModelFound: true, capabilities: CHAT },
      },
      {
        says: 'a model that sees',
        json: lists.ollama,
        model: 'qwen2.5vl:7b',
        facts: { upstreamModelFound: true, capabilities: [...CHAT, 'vision'] },
      },
      {
        says: 'a model for embeddings only',
        json: lists.ollama,
        model: 'nomic-embed-text',
        facts: { upstreamModelFound: true, capabilities: ['embeddings'] },
      },
      { says: 'a model that was not pulled', json: lists.ollama, model: 'llama3', facts: { upstreamModelFound: false } },
    ],
    signals: [
      {
        says: 'the context a model was loaded with',
        text: body('ollama.ps.documented.json'),
        model: 'gemma3',
        reading: { contextWindowTokens: 4096 },
      },
      { says: 'nothing of a model that is not loaded', text: body('ollama.ps.documented.json'), model: 'llama3', reading: {} },
    ],
  },
  {
    profile: sglang,
    recognised: [answer(lists.sglang)],
    requests: { health: '/v1/loads', models: LIST, signals: ['/v1/loads?include=core&format=prometheus', '/metrics'] },
    health: [
      { says: 'its loads are ready', status: 200, body: '[]', verdict: 'ready' },
      { says: 'a model that is loading', status: 503, body: 'Starting', verdict: 'loading' },
      { says: 'a version without loads', status: 404, body: '', verdict: 'ready' },
      { says: 'a graceful exit', status: 503, body: '', verdict: 'bad' },
    ],
    models: [
      {
        says: 'a list with a context',
        json: lists.sglang,
        model: 'qwen3',
        facts: { upstreamModelFound: true, contextWindowTokens: 40960, capabilities: CHAT },
      },
      { says: 'an unknown name', json: lists.sglang, model: 'gone', facts: { upstreamModelFound: false } },
    ],
    signals: [
      {
        says: 'queues of data-parallel ranks add up, the fullest cache counts',
        text: body('sglang.loads.documented.txt'),
        model: 'qwen3',
        reading: { running: 6, waiting: 1, cacheUsed: 0.7 },
      },
      {
        says: 'a data-parallel rank counts whatever its tensor-parallel rank, and once with all its priorities',
        text: body('sglang.metrics-attention-dp.documented.txt'),
        model: 'qwen3',
        reading: { running: 9, waiting: 3, cacheUsed: 0.31 },
      },
      {
        says: 'one queue seen by several ranks is one',
        text: body('sglang.metrics.documented.txt'),
        model: 'qwen3',
        reading: { running: 5, waiting: 3, cacheUsed: 0.31 },
      },
    ],
  },
  {
    profile: tgi,
    recognised: [answer(lists.tgi)],
    requests: { health: '/health', models: LIST, signals: ['/metrics'] },
    health: [
      { says: '200 with an empty body', status: 200, body: '', verdict: 'ready' },
      { says: 'unhealthy', status: 503, body: '{"error":"unhealthy","error_type":"healthcheck"}', verdict: 'bad' },
    ],
    models: [
      {
        says: 'it serves its one model under any name',
        json: lists.tgi,
        model: 'tgi',
        facts: { upstreamModelFound: true, capabilities: ['chat', 'completions', 'tools', 'jsonSchema'] },
      },
    ],
    signals: [{ says: 'batch and queue', text: body('tgi.metrics.documented.txt'), model: 'tgi', reading: { running: 6, waiting: 2 } }],
  },
  {
    profile: tensorRtLlm,
    recognised: [answer(lists.trtLlm)],
    requests: { health: '/health', models: LIST, signals: ['/prometheus/metrics'] },
    health: [{ says: '200', status: 200, body: '', verdict: 'ready' }],
    models: [
      { says: 'a listed model', json: lists.trtLlm, model: 'Qwen3-8B', facts: { upstreamModelFound: true, capabilities: CHAT } },
      { says: 'a model that is not listed', json: lists.trtLlm, model: 'gone', facts: { upstreamModelFound: false } },
    ],
    signals: [
      {
        says: 'requests and cache',
        text: body('tensorrt-llm.metrics.documented.txt'),
        model: 'Qwen3-8B',
        reading: { running: 9, waiting: 4, cacheUsed: 0.62 },
      },
      {
        says: 'statistics that reading would take away are no metrics',
        text: body('tensorrt-llm.metrics-consuming.documented.json'),
        model: 'Qwen3-8B',
        reading: {},
      },
    ],
  },
  {
    profile: triton,
    recognised: [answer(lists.triton)],
    requests: { health: '/health/ready', models: LIST, signals: ['/metrics'] },
    health: [
      { says: 'ready', status: 200, body: '', verdict: 'ready' },
      { says: 'not ready', status: 400, body: '', verdict: 'bad' },
    ],
    models: [
      {
        says: 'a listed model',
        json: lists.triton,
        model: 'llama-3.1-8b',
        facts: { upstreamModelFound: true, capabilities: ['chat', 'completions', 'tools'] },
      },
    ],
    signals: [
      {
        says: 'requests by state, and the fraction of the cache',
        text: body('triton.metrics-trt-llm.documented.txt'),
        model: 'llama-3.1-8b',
        reading: { running: 7, waiting: 2, cacheUsed: 0.25 },
      },
      {
        says: 'of other backends only who waits',
        text: body('triton.metrics-other.documented.txt'),
        model: 'vit',
        reading: { waiting: 3 },
      },
    ],
  },
  {
    profile: lmdeploy,
    recognised: [answer(lists.lmdeploy)],
    requests: { health: '/health', models: LIST, signals: ['/metrics'] },
    health: [
      { says: 'healthy', status: 200, body: '{"status":"healthy"}', verdict: 'ready' },
      { says: 'initializing', status: 503, body: body('lmdeploy.health-initializing.documented.json'), verdict: 'loading' },
      { says: 'one that sleeps serves nothing', status: 200, body: body('lmdeploy.health-sleeping.documented.json'), verdict: 'bad' },
    ],
    models: [
      {
        says: 'a listed model',
        json: lists.lmdeploy,
        model: 'internlm3-8b',
        facts: { upstreamModelFound: true, capabilities: ['chat', 'completions', 'tools', 'jsonSchema'] },
      },
    ],
    signals: [
      {
        says: 'what waits before the engine waits too',
        text: body('lmdeploy.metrics.documented.txt'),
        model: 'internlm3-8b',
        reading: { running: 8, waiting: 3, cacheUsed: 0.5 },
      },
    ],
  },
  {
    profile: localAi,
    recognised: [answer(json('local-ai.version.documented.json'))],
    requests: { health: '/readyz', models: LIST, signals: [] },
    health: [
      { says: 'ready', status: 200, body: '', verdict: 'ready' },
      { says: 'starting', status: 503, body: body('local-ai.readyz-starting.documented.json'), verdict: 'loading' },
    ],
    models: [
      { says: 'a listed model', json: lists.localAi, model: 'gpt-4', facts: { upstreamModelFound: true } },
      {
        says: 'a model for sound, by its name',
        json: lists.localAi,
        model: 'whisper-1',
        facts: { upstreamModelFound: true, capabilities: ['audio'] },
      },
    ],
    signals: [],
  },
  {
    profile: openai,
    recognised: [answer(lists.openai, { 'openai-version': '2020-10-01' })],
    requests: { health: LIST, models: LIST, signals: [] },
    health: [
      { says: 'a list is ready', status: 200, body: '', verdict: 'ready' },
      { says: 'a wrong credential', status: 401, body: '', verdict: 'bad' },
    ],
    models: [{ says: 'a listed model', json: lists.openai, model: 'gpt-4o-mini', facts: { upstreamModelFound: true } }],
    signals: [],
  },
  {
    profile: anthropic,
    recognised: [],
    requests: { health: LIST, models: LIST, signals: [] },
    health: [
      { says: 'a list is ready', status: 200, body: '', verdict: 'ready' },
      { says: 'a server without a list of models lives', status: 404, body: '', verdict: 'ready' },
    ],
    models: [
      { says: 'a listed model', json: lists.anthropic, model: 'claude-sonnet-4-20250514', facts: { upstreamModelFound: true } },
      { says: 'a model that is not listed', json: lists.anthropic, model: 'claude-2', facts: { upstreamModelFound: false } },
    ],
    signals: [],
  },
  {
    profile: generic,
    recognised: [],
    requests: { health: LIST, models: LIST, signals: [] },
    health: [
      { says: 'no model list, yet it lives', status: 404, body: '', verdict: 'ready' },
      { says: 'wants a credential', status: 403, body: '', verdict: 'bad' },
      { says: 'a gateway in front of nothing', status: 502, body: '', verdict: 'bad' },
    ],
    models: [
      {
        says: 'a list with a context',
        json: lists.sglang,
        model: 'qwen3',
        facts: { upstreamModelFound: true, contextWindowTokens: 40960 },
      },
      {
        says: 'a model for sound, by its name',
        json: { data: [{ id: 'openai/whisper-large-v3' }] },
        model: 'openai/whisper-large-v3',
        facts: { upstreamModelFound: true, capabilities: ['audio'] },
      },
      { says: 'without a list it is believed', json: { detail: 'Not Found' }, model: 'qwen3', facts: { upstreamModelFound: true } },
    ],
    signals: [],
  },
]

for (const suite of SUITES) {
  const others = SUITES.filter((other) => other !== suite).flatMap((other) => other.recognised)
  engineSuite(suite, [...others, answer(lists.localAi), answer(undefined, {}, 502)])
}

test('TGI tells its window elsewhere than in its list', () => {
  assert.equal(tgi.info?.request({ basePath: '/v1', upstreamModel: 'tgi' }), '/info')
  assert.deepEqual(tgi.info?.read(json('tgi.info.documented.json')), { contextWindowTokens: 8192 })
  assert.deepEqual(tgi.info?.read('nothing'), {})
})

test('an answer without marks is nobody’s', () => {
  assert.equal(recogniseEngine(answer(lists.localAi)), undefined)
  assert.equal(recogniseEngine(answer(lists.ollama)), undefined)
  assert.equal(profileOf('Auto').engine, 'Generic')
})

test('every engine runs the suite and every captured text is read', () => {
  assert.deepEqual(SUITES.map((suite) => suite.profile.engine).sort(), PROFILES.map((profile) => profile.engine).sort())
  assert.deepEqual(readdirSync(FOLDER).sort(), [...used].sort())
})
