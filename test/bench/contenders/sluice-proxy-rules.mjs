// createProxy() as in sluice-proxy.mjs, with ten rules for fields: what they cost.
import { createProxy } from 'sluice'
import { announce, endWithTheRun, serve } from '../lib/announce.mjs'
import { createFront } from '../lib/front.mjs'
import { certificate, origin } from '../lib/told.mjs'

const proxy = createProxy({
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

if (certificate.cert === undefined) {
  endWithTheRun()
  const { port } = await proxy.listen(0, '127.0.0.1')
  announce(port)
} else {
  const server = createFront()
  proxy.attach(server)
  serve(server)
}
