import { expect, it } from 'vitest'
import { outOfFiles } from '../../../test/kit/out-of-files.js'
import { skipUnless } from '../../../test/kit/skip.js'

it.skipIf(skipUnless(process.platform !== 'win32', 'limits of open files that can be set'))(
  'loads what an order needs when there are files again, though it was asked first when there were none',
  async () => {
    const said = await outOfFiles(
      new URL('..', import.meta.url),
      `
      import { AcmeClient } from '@sluice/acme'
      import { loadClient } from './dist/load-client.js'
      import { x509 } from './dist/x509.js'
      import { generateKeyPairSync } from 'node:crypto'
      const accountKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      new AcmeClient({ directory: 'https://127.0.0.1:1/', accountKey, agreeToTerms: true })
      const load = (what) => what().then(() => 'loaded', () => 'failed')
      starve()
      const first = [await load(loadClient), await load(x509)]
      feed()
      console.log(...first, await load(loadClient), await load(x509))`,
    )
    expect(said).toBe('failed failed loaded loaded\n')
  },
)
