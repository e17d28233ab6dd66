// sluice-proxy, which clients speak to without TLS whatever the scenario says: what TLS adds to it.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied({ upstreams: { default: origin } })
