// Sluice as one mounts it: createProxy() with all that is on by default.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied({ upstreams: { default: origin } })
