// The same app with the guard, which sheds what is more than it can do.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'
import { worker } from '../lib/worker.mjs'

await proxied({ upstreams: { default: { targets: [origin] } }, guard: { shed: true }, use: [worker] })
