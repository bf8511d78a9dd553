// Writes a tiny llama-architecture GGUF (v3, all F32, SentencePiece vocabulary) for engine tests.
//
//   node gguf.mjs random   OUT.gguf [EMBED=32] [LAYERS=2]   fixed-seed weights: readable words that never end
//   node gguf.mjs scripted OUT.gguf PIECE [PIECE...]        says the pieces in order, then ends
//
// The same arguments give the same bytes. EMBED and LAYERS set the cost of a token.
import { writeFileSync } from 'node:fs'

const HEADS = 4
const CONTEXT = 4096
const ALIGNMENT = 32
const SCRIPTED_EMBED = 512 // one-hot embeddings: at least one dimension per token
const BOS = 1
const EOS = 2
const TOKEN = { normal: 1, unknown: 2, control: 3, userDefined: 4, byte: 6 }
const KEY = { u32: 4, i32: 5, f32: 6, string: 8, array: 9 }
const TENSOR_F32 = 0

const WORDS = `the a to of and in is it you that he was for on are with as his they at be this from I have or by one
had not but what all were when we there can an your which their said if do will each about how up out them then she many
some so these would other into has more her two like him see time could no make than first been its who now people my
made over did down only way find use may water long little very after words called just where most know`.split(/\s+/)

// --- vocabulary ---

function baseVocabulary() {
  const tokens = [
    { text: '<unk>', type: TOKEN.unknown, score: 0 },
    { text: '<s>', type: TOKEN.control, score: 0 },
    { text: '</s>', type: TOKEN.control, score: 0 },
  ]
  for (let byte = 0; byte < 256; byte++) {
    const hex = byte.toString(16).toUpperCase().padStart(2, '0')
    tokens.push({ text: `<0x${hex}>`, type: TOKEN.byte, score: 0 })
  }
  const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))
  const texts = new Set([...WORDS.map((word) => `\u2581${word}`), ...printable, '\u2581'])
  let score = -1
  for (const text of texts) tokens.push({ text, type: TOKEN.normal, score: score-- })
  return tokens
}

// --- weights: fill functions take (row, column) and are called in file order ---

function randomModel(embed, layers) {
  let state = 1234567
  const noise = (width) => {
    state = (state * 1664525 + 1013904223) >>> 0
    return (state / 2 ** 32 - 0.5) * width
  }
  const tokens = baseVocabulary()
  // Dimension 0 stays positive through the network, so its output weight bans control and byte tokens.
  return {
    tokens,
    embed,
    layers,
    embedding: (_row, column) => (column === 0 ? 4 : noise(2)),
    output: (row, column) => (column === 0 ? (tokens[row].type === TOKEN.normal ? 0 : -20) : noise(2)),
    hidden: () => noise(0.05),
  }
}

function scriptedModel(pieces) {
  const tokens = baseVocabulary()
  const first = tokens.length
  for (const text of pieces) tokens.push({ text, type: TOKEN.userDefined, score: 0 })
  if (tokens.length > SCRIPTED_EMBED) throw new Error(`at most ${SCRIPTED_EMBED - first} pieces fit`)
  const last = tokens.length - 1
  const next = tokens.map((_, id) => (id < first ? first : id === last ? EOS : id + 1))
  return {
    tokens,
    embed: SCRIPTED_EMBED,
    layers: 1,
    embedding: (row, column) => (row === column ? 1 : 0),
    output: (row, column) => (next[column] === row ? 10 : 0),
    hidden: () => 0,
  }
}

function tensorsOf({ tokens, embed, layers, embedding, output, hidden }) {
  const tensors = []
  const add = (name, dims, fill) => {
    const [columns, rows = 1] = dims // GGUF order: fastest dimension first
    const data = Buffer.alloc(4 * columns * rows)
    for (let i = 0; i < columns * rows; i++) data.writeFloatLE(fill(Math.floor(i / columns), i % columns), 4 * i)
    tensors.push({ name, dims, data })
  }
  const one = () => 1
  const feedForward = 2 * embed
  add('token_embd.weight', [embed, tokens.length], embedding)
  add('output_norm.weight', [embed], one)
  add('output.weight', [embed, tokens.length], output)
  for (let layer = 0; layer < layers; layer++) {
    const block = `blk.${layer}`
    add(`${block}.attn_norm.weight`, [embed], one)
    for (const part of ['q', 'k', 'v', 'output']) add(`${block}.attn_${part}.weight`, [embed, embed], hidden)
    add(`${block}.ffn_norm.weight`, [embed], one)
    add(`${block}.ffn_gate.weight`, [embed, feedForward], hidden)
    add(`${block}.ffn_up.weight`, [embed, feedForward], hidden)
    add(`${block}.ffn_down.weight`, [feedForward, embed], hidden)
  }
  return tensors
}

// --- file format ---

function scalar(size, method, value) {
  const bytes = Buffer.alloc(size)
  bytes[method](value)
  return bytes
}
const u32 = (value) => scalar(4, 'writeUInt32LE', value)
const i32 = (value) => scalar(4, 'writeInt32LE', value)
const f32 = (value) => scalar(4, 'writeFloatLE', value)
const u64 = (value) => scalar(8, 'writeBigUInt64LE', BigInt(value))
const string = (text) => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)])
const encode = { u32, i32, f32, string }

const key = (name, type, value) => Buffer.concat([string(name), u32(KEY[type]), encode[type](value)])
const arrayKey = (name, type, values) =>
  Buffer.concat([string(name), u32(KEY.array), u32(KEY[type]), u64(values.length), ...values.map(encode[type])])
const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc(ALIGNMENT - (bytes.length % ALIGNMENT || ALIGNMENT))])

function gguf(model) {
  const { tokens, embed, layers } = model
  const keys = [
    key('general.architecture', 'string', 'llama'),
    key('general.name', 'string', 'tiny-random'),
    key('llama.context_length', 'u32', CONTEXT),
    key('llama.embedding_length', 'u32', embed),
    key('llama.block_count', 'u32', layers),
    key('llama.feed_forward_length', 'u32', 2 * embed),
    key('llama.attention.head_count', 'u32', HEADS),
    key('llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5),
    key('tokenizer.ggml.model', 'string', 'llama'),
    arrayKey(
      'tokenizer.ggml.tokens',
      'string',
      tokens.map((token) => token.text),
    ),
    arrayKey(
      'tokenizer.ggml.scores',
      'f32',
      tokens.map((token) => token.score),
    ),
    arrayKey(
      'tokenizer.ggml.token_type',
      'i32',
      tokens.map((token) => token.type),
    ),
    key('tokenizer.ggml.bos_token_id', 'u32', BOS),
    key('tokenizer.ggml.eos_token_id', 'u32', EOS),
    key('tokenizer.ggml.unknown_token_id', 'u32', 0),
  ]
  const infos = []
  const blobs = []
  let offset = 0
  for (const { name, dims, data } of tensorsOf(model)) {
    const blob = padded(data)
    infos.push(Buffer.concat([string(name), u32(dims.length), ...dims.map(u64), u32(TENSOR_F32), u64(offset)]))
    blobs.push(blob)
    offset += blob.length
  }
  const counts = [u32(3), u64(infos.length), u64(keys.length)]
  return Buffer.concat([padded(Buffer.concat([Buffer.from('GGUF'), ...counts, ...keys, ...infos])), ...blobs])
}

// --- command line ---

function modelFrom(mode, rest) {
  if (mode === 'scripted' && rest.length > 0) return scriptedModel(rest)
  if (mode !== 'random' || rest.length > 2) return undefined
  const [embed, layers] = [Number(rest[0] ?? 32), Number(rest[1] ?? 2)]
  const valid = Number.isInteger(layers) && layers > 0 && embed > 0 && embed % (2 * HEADS) === 0
  return valid ? randomModel(embed, layers) : undefined
}

const [mode, path, ...rest] = process.argv.slice(2)
const model = path && modelFrom(mode, rest)
if (!model) {
  console.error('usage: node gguf.mjs random OUT.gguf [EMBED (multiple of 8)] [LAYERS]')
  console.error('       node gguf.mjs scripted OUT.gguf PIECE [PIECE...]')
  process.exit(2)
}
const bytes = gguf(model)
writeFileSync(path, bytes)
console.log(`${path}: ${model.tokens.length} tokens, ${bytes.length} bytes`)
