// Sluice with its cache, whose answers it compresses: each coded form is made once and kept with its entry.
import { createProxy } from 'sluice'
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

const compress = { encodings: ['gzip'], level: { gzip: 6 } }
await proxied(createProxy({ upstreams: { origin }, cache: true, compress }))
