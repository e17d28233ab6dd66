// Sluice with its cache, whose answers it compresses: each coded form is made once and kept with its entry.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

const compress = { encodings: ['gzip'], level: { gzip: 6 } }
await proxied({ upstreams: { origin }, cache: true, compress })
