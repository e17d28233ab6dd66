// Sluice as a proxy that compresses: createProxy() with all that is on by default, and `compress`.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied({ upstreams: { origin }, compress: { encodings: ['gzip'], level: { gzip: 6 } } })
