// As sluice-proxy-resilient, with hedging on top that never fires: what it costs those that are quick. A wait by the quantile is found for each
// request, and is then too short to count.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied({
  upstreams: { default: { targets: [origin], health: { type: 'tcp' }, breaker: {}, hedge: { min: '1s' } } },
})
