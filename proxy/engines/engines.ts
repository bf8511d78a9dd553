/** The list of engines. Adding one = a file, a line here, its texts in `captured/`. */
import type { Engine } from '../routing-table/v1.ts'
import { anthropic } from './anthropic.ts'
import type { Answer, EngineProfile, KnownEngine } from './engine.ts'
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

/** Order matters for recognition: the surest marks first. */
export const PROFILES: readonly EngineProfile[] = [
  llamaCpp,
  vllm,
  sglang,
  tensorRtLlm,
  triton,
  lmdeploy,
  tgi,
  openai,
  anthropic,
  localAi,
  ollama,
  generic,
]

const BY_ENGINE: Readonly<Record<KnownEngine, EngineProfile>> = {
  vLLM: vllm,
  SGLang: sglang,
  TGI: tgi,
  LlamaCpp: llamaCpp,
  TensorRTLLM: tensorRtLlm,
  Triton: triton,
  LMDeploy: lmdeploy,
  Ollama: ollama,
  LocalAI: localAi,
  OpenAI: openai,
  Anthropic: anthropic,
  Generic: generic,
}

/** `Auto` before first contact is treated like `Generic`: nothing is assumed. */
export function profileOf(engine: Engine): EngineProfile {
  return engine === 'Auto' ? generic : BY_ENGINE[engine]
}

/** The engine that gave this answer, or undefined when nothing tells. */
export function recogniseEngine(answer: Answer): KnownEngine | undefined {
  return PROFILES.find((profile) => profile.recognise(answer))?.engine
}
