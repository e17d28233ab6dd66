import { expect, it } from 'vitest'
import { outOfFiles } from '../../../test/kit/out-of-files.js'
import { skipUnless } from '../../../test/kit/skip.js'

it.skipIf(skipUnless(process.platform !== 'win32', 'limits of open files that can be set'))(
  'takes tokens though the first one meets a process without a file to open',
  async () => {
    const said = await outOfFiles(
      new URL('..', import.meta.url),
      `
      import { generateKeyPairSync, sign } from 'node:crypto'
      import { once } from 'node:events'
      import { Agent, createServer, get } from 'node:http'
      import { jwt } from '@sluice/access'
      import { chain, toListener } from '@sluice/core'
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const coded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const text = coded({ alg: 'ES256' }) + '.' + coded({ iss: 'i', aud: 'a', exp: Date.now() / 1000 + 60 })
      const token = text + '.' + sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
      const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256' }] }
      const site = chain()
        .use(jwt({ jwks, issuer: 'i', audience: 'a', algorithms: ['ES256'] }))
        .handle(() => ({ status: 200, headers: [], body: null }))
      const server = createServer(toListener(site)).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      // All over one connection, which is there before the files run out.
      const ask = async (headers = {}) => {
        const [res] = await once(get({ agent, headers, port: server.address().port }), 'response')
        res.resume()
        await once(res, 'end')
        return res.statusCode
      }
      const authorization = 'Bearer ' + token
      const codes = [await ask()]
      starve()
      codes.push(await ask({ authorization }))
      feed()
      codes.push(await ask({ authorization }))
      console.log(...codes)
      process.exit()`,
    )
    expect(said).toBe('401 200 200\n')
  },
)
