// Sluice with its cache: createProxy() with all that is on by default, and `cache: true`.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied({ upstreams: { origin }, cache: true })
