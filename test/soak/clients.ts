/**
 * Clients in a loop, each with one request at a time: streams and whole answers on every route, readers that are slow, clients that leave at
 * any moment. In: the proxy's address, a seed. Out: what they found, and what no plan explains. Keeps counts and the first unexplained ones.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { Dice } from '../support/dice.ts'
import { jsonOf, ROUTES, type RouteSpeech } from '../support/routes.ts'
import { endings, type Found, type Plan, planOf, textOf, wordsOf } from './plan.ts'
import { MESSAGES_NAME, NAMES } from './tables.ts'

export interface Findings {
  /** By ending; "left" = the client itself left. */
  readonly counts: ReadonlyMap<string, number>
  readonly requests: number
  /** Tries that were to fail and of which no client heard. */
  readonly hidden: number
  readonly unexplained: number
  /** The first of them. */
  readonly examples: readonly string[]
}

const MAX_EXAMPLES = 20
const SHOWN_CHARACTERS = 300
/** No plan takes as long. */
const HUNG_MS = 300_000
const SPEECHES = Object.values(ROUTES)

/** Of other routes a stream that breaks is over. */
const CONTINUED = ['/v1/chat/completions', '/v1/completions']

type Leaves = 'never' | 'early' | 'at the head' | 'in the body'

interface Wish {
  readonly plan: Plan
  readonly speech: RouteSpeech
  readonly stream: boolean
  readonly name: string
  readonly leaves: Leaves
  readonly slowly: boolean
}

export class Clients {
  readonly #port: number
  readonly #dice: Dice
  readonly #agent: Agent
  readonly #counts = new Map<string, number>()
  readonly #examples: string[] = []
  readonly #loops: Promise<void>[]
  #requests = 0
  #hidden = 0
  #unexplained = 0
  #stopping = false

  constructor({ port, seed, clients, pauseMs }: { port: number; seed: number; clients: number; pauseMs: number }) {
    this.#port = port
    this.#dice = new Dice(seed)
    this.#agent = new Agent({ keepAlive: true, maxSockets: clients * 2 })
    this.#loops = Array.from({ length: clients }, () => this.#loop(pauseMs))
  }

  findings(): Findings {
    return {
      counts: this.#counts,
      requests: this.#requests,
      hidden: this.#hidden,
      unexplained: this.#unexplained,
      examples: this.#examples,
    }
  }

  /** Requests under way end first. */
  async close(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#loops)
    this.#agent.destroy()
  }

  async #loop(pauseMs: number): Promise<void> {
    while (!this.#stopping) {
      const wish = this.#wish()
      this.#judge(wish, await ask(wish, this.#port, this.#agent, this.#dice))
      await delay(this.#dice.below(2 * pauseMs))
    }
  }

  #wish(): Wish {
    const dice = this.#dice
    const leaves = dice.chance(0.12) ? dice.pick(['early', 'at the head', 'in the body'] as const) : 'never'
    const speech = dice.pick(SPEECHES)
    const stream = dice.chance(0.6)
    const plan = planOf(++this.#requests, stream, dice)
    const name = speech.path === '/v1/messages' ? MESSAGES_NAME : dice.pick(NAMES)
    return { plan, speech, stream, name, leaves, slowly: dice.chance(0.08) }
  }

  #judge(wish: Wish, { found, shown }: Ended): void {
    this.#counts.set(found, (this.#counts.get(found) ?? 0) + 1)
    if (found === 'left') return
    if (found === 'whole') this.#hidden += wish.plan.kinds.length - 1
    if (
      endings(wish.plan, { stream: wish.stream, continues: wish.name === 'continued' && CONTINUED.includes(wish.speech.path) }).has(found)
    )
      return
    this.#unexplained++
    if (this.#examples.length < MAX_EXAMPLES)
      this.#examples.push(
        `${wish.name} ${wish.speech.path} ${wish.stream ? 'stream' : 'whole'} ${textOf(wish.plan)}: ${found}\n    ${shown}`,
      )
  }
}

interface Ended {
  readonly found: Found
  /** For whoever looks into it. */
  readonly shown: string
}

function ask(wish: Wish, port: number, agent: Agent, dice: Dice): Promise<Ended> {
  const { plan, speech, stream, name, leaves } = wish
  const body = JSON.stringify({ ...speech.request(name, stream), user: textOf(plan) })
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const request = httpRequest({ port, host: '127.0.0.1', path: speech.path, method: 'POST', agent, headers })
    let left = false
    const end = (ended: Ended): void => {
      clearTimeout(hung)
      clearTimeout(early)
      resolve(left ? { found: 'left', shown: '' } : ended)
    }
    const leave = (): void => {
      left = true
      request.destroy()
    }
    const hung = setTimeout(() => {
      request.destroy()
      end({ found: 'hung', shown: '' })
    }, HUNG_MS)
    const early = leaves === 'early' ? setTimeout(leave, dice.below(40)) : undefined
    request.on('error', (error) => end({ found: 'broken', shown: String(error) }))
    request.on('response', (response) => {
      if (leaves === 'at the head') leave()
      read({ response, request, wish, dice, leave, end })
    })
    request.end(body)
  })
}

interface Reading {
  readonly response: IncomingMessage
  readonly request: ClientRequest
  readonly wish: Wish
  readonly dice: Dice
  readonly leave: () => void
  readonly end: (ended: Ended) => void
}

function read({ response, wish, dice, leave, end }: Reading): void {
  const chunks: Buffer[] = []
  let pauses = wish.slowly ? 5 : 0
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    if (wish.leaves === 'in the body') leave()
    if (pauses-- <= 0) return
    response.pause()
    setTimeout(() => response.resume(), 50 + dice.below(250))
  })
  response.on('error', () => {})
  response.on('close', () => {
    const text = Buffer.concat(chunks).toString()
    end({
      found: response.complete ? foundIn(wish, response.statusCode ?? 0, text) : 'broken',
      shown: `${text.slice(-SHOWN_CHARACTERS)}\n    ${response.statusCode} ${JSON.stringify(ours(response))}`,
    })
  })
}

/** What the proxy says of its decision. */
const ours = ({ headers }: IncomingMessage): object =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-llama-swap') || name === 'x-request-id'))

/** In a stream, in OpenAI's place or Anthropic's. */
const IN_BAND = /"(?:error_)?code":"((?:upstream|proxy)_[a-z_]+)"/

/** "wrong": an answer of success that is not the one that was given, or that looks finished and is not. */
function foundIn(wish: Wish, status: number, text: string): Found {
  try {
    return status === 200 ? foundInAnswer(wish, text) : codeOf(text)
  } catch {
    return 'wrong' // no JSON
  }
}

function foundInAnswer({ plan, speech, stream }: Wish, text: string): Found {
  const expected = wordsOf(plan).join('')
  if (!stream) return speech.textOfAnswer(text) === expected ? 'whole' : 'wrong'
  const got = speech.textOfEvents(text)
  const ending = speech.events([]).sentinel.join('')
  const [, code] = IN_BAND.exec(text) ?? []
  if (code !== undefined) return expected.startsWith(got) && !text.includes('[DONE]') ? code : 'wrong'
  return got === expected && text.includes(ending) ? 'whole' : 'wrong'
}

/** OpenAI's place of a code, and that of an error in Anthropic's words. */
function codeOf(text: string): Found {
  const { error } = jsonOf(text)
  const { code, details } = jsonOf(JSON.stringify(error))
  return String(code ?? jsonOf(JSON.stringify(details))['error_code'])
}
