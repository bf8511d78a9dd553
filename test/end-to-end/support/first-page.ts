/** The page that others go on from: docs/tutorials/ten-minutes.md, with what is other on a node without registry and internet. */
import type { Cluster } from '../../support/control-plane/cluster.ts'
import { APP_IMAGE } from './app.ts'
import { ENGINE_IMAGE } from './engine.ts'
import { openTutorial, type Tutorial } from './tutorial.ts'

/** Our image, the engine, its model and the SDK are on the node. */
export const openFirstPage = (cluster: Cluster): Tutorial =>
  openTutorial(cluster, 'ten-minutes', {
    substitutions: [
      [' --set image.registry=registry.example.com', ''],
      ['ghcr.io/ggml-org/llama.cpp:server', ENGINE_IMAGE],
      ["-hf, 'bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M'", "-m, /models/smollm2.gguf, --offline, -t, '1', -tb, '1'"],
      ['image: node:lts', `image: ${APP_IMAGE}`],
      ['cd /tmp && cp /script/app.mjs . && npm install --silent openai && node app.mjs', 'node /app/script/app.mjs'],
      ['mountPath: /script', 'mountPath: /app/script'],
    ],
  })

/** As far as the first answer. The caller's own page ends the terminal. */
export async function readFirstPage(cluster: Cluster): Promise<Tutorial> {
  const page = openFirstPage(cluster)
  for (const heading of ['Install', 'Run an engine', 'Name it', 'The first answer']) await page.run(heading)
  return page
}
