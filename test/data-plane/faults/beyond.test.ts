/** Faults beyond the sixteen, on every route and in both modes: what the client sees and what the backends saw. */
import { after } from 'node:test'
import { CONNECTIONS } from './connections.ts'
import { CONTENTS } from './contents.ts'
import { closePlaces, trustedFile } from './places.ts'
import { STATUSES } from './statuses.ts'
import { wallOf } from './wall.ts'

wallOf({ ...CONNECTIONS, ...CONTENTS, ...STATUSES }, async () => ({ NODE_EXTRA_CA_CERTS: await trustedFile() }))
after(closePlaces)
