/**
 * OpenAI, and servers that claim to be just like it. With a credential it is never probed (each request may cost); without one its model
 * list is the health request.
 */
import { type EngineProfile, USUAL } from './engine.ts'
import { generic } from './generic.ts'

export const openai: EngineProfile = {
  ...generic,
  engine: 'OpenAI',
  usageMustBeAskedFor: USUAL.usageMustBeAskedFor,
  recognise: (answer) => answer.headers['openai-version'] !== undefined || answer.headers['openai-processing-ms'] !== undefined,
}
