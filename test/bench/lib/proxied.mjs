// The server of a proxy of createProxy(): its own, for plain HTTP or with the certificate of the run.
import { createProxy } from 'sluice'
import { announce, endWithTheRun } from './announce.mjs'
import { certificate } from './told.mjs'

/** Serves what `createProxy()` makes of these options. */
export async function proxied(options) {
  endWithTheRun()
  const tls = certificate.cert === undefined ? {} : { tls: certificate }
  const { port } = await createProxy({ ...options, ...tls }).listen(0, '127.0.0.1')
  announce(port)
}
