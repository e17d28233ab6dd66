// Sluice as one mounts it: createProxy() with all that is on by default.
import { createProxy } from 'sluice'
import { announce, endWithTheRun, serve } from '../lib/announce.mjs'
import { createFront } from '../lib/front.mjs'
import { certificate, origin } from '../lib/told.mjs'

const proxy = createProxy(origin)

if (certificate.cert === undefined) {
  endWithTheRun()
  const { port } = await proxy.listen(0, '127.0.0.1')
  announce(port)
} else {
  // TLS is the matter of the server that one attaches it to.
  const server = createFront()
  proxy.attach(server)
  serve(server)
}
