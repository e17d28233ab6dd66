// An app that works for each of its requests and lets in what comes, without any guard.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'
import { worker } from '../lib/worker.mjs'

await proxied({ upstreams: { default: { targets: [origin] } }, guard: false, use: [worker] })
