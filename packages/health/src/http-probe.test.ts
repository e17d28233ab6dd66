import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createUpstream, type Target, type TargetTls } from '@sluice/upstream'
import { expect, it } from 'vitest'
import { pinOf, testAuthority } from '../../../test/kit/authority.js'
import { owner } from '../../../test/kit/owner.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { httpProbe } from './index.js'

const own = owner()
const authority = testAuthority()
const skip = skipUnless(authority, 'probes over TLS: there is no openssl')

it.skipIf(skip)('speaks TLS by the settings of its target, as requests do', async () => {
  if (authority === undefined) return
  const certificate = authority.issue('DNS:a.test')
  const server = createServer({ ...certificate }, (_req, res) => void res.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  own({
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const probe = (tls: TargetTls): Promise<void> => {
    const target = createUpstream({ name: 'tls', targets: [{ url, tls }] }).all[0] as Target
    return httpProbe()(target, new AbortController().signal)
  }
  const ca = authority.cert
  const other = `sha256/${Buffer.alloc(32).toString('base64')}`
  await probe({ ca, servername: 'a.test' })
  await probe({ ca, servername: 'a.test', pin: [pinOf(certificate.cert)] })
  await expect(probe({ servername: 'a.test' })).rejects.toThrow(/certificate/)
  await expect(probe({ ca })).rejects.toThrow(/altnames/i)
  await expect(probe({ ca, servername: 'a.test', pin: [other] })).rejects.toThrow(/pins/)
  await expect(probe({ verify: false, pin: [other] })).rejects.toThrow(/pins/)
  await probe({ verify: false, pin: [pinOf(certificate.cert)] })
})
