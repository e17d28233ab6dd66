// The server that a proxy of createProxy() stands in: its own, or for TLS the one that it is attached to.
import { announce, endWithTheRun, serve } from './announce.mjs'
import { createFront } from './front.mjs'
import { certificate } from './told.mjs'

/** Serves what `createProxy()` has made. */
export async function proxied(proxy) {
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
}
