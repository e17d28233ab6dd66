// createProxy() as in sluice-proxy.mjs, with ten rules for fields: what they cost.
import { proxied } from '../lib/proxied.mjs'
import { origin } from '../lib/told.mjs'

await proxied({
  upstreams: { default: origin },
  rewrite: {
    request: {
      set: { 'X-Site': 'bench', 'X-Edge': '1' },
      default: { Accept: '*/*' },
      remove: ['X-Debug', 'X-Internal'],
    },
    response: {
      set: { Server: 'edge' },
      default: { 'Cache-Control': 'no-store', 'Content-Type': 'text/plain' },
      remove: ['X-Powered-By', 'X-Runtime'],
    },
  },
})
