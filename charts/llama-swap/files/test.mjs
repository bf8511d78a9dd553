// What the Pod of helm test runs. In: URL and, where one is needed, KEY; TIMEOUT_SECONDS for each answer. It asks for the models, and for
// an answer of "auto" if there is such a model. Exit code 1 and a line that says why when either comes to nothing.
const { URL: url, KEY: key, TIMEOUT_SECONDS: seconds } = process.env
const headers = { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) }

async function ask(path, body) {
  const signal = AbortSignal.timeout(1000 * Number(seconds))
  const answer = await fetch(url + path, { headers, signal, ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }) })
  const text = await answer.text()
  console.log(path, answer.status, text)
  if (answer.status !== 200) throw new Error(`${url}${path} answers ${answer.status}`)
  return JSON.parse(text)
}

try {
  const { object, data } = await ask('/v1/models')
  if (object !== 'list') throw new Error(`${url}/v1/models is no list`)
  if (data.some(({ id }) => id === 'auto')) {
    const { choices } = await ask('/v1/chat/completions', { model: 'auto', max_tokens: 1, messages: [{ role: 'user', content: 'Hello' }] })
    if (choices.length !== 1) throw new Error('auto gives no answer')
  }
} catch (error) {
  console.error(error.message, error.cause?.message ?? '')
  process.exitCode = 1
}
