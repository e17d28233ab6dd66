// Sluice as a proxy that compresses: createProxy() with all that is on by default, and `compress`.
import { createProxy } from 'sluice'
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied(createProxy({ upstreams: { origin }, compress: { encodings: ['gzip'], level: { gzip: 6 } } }))
