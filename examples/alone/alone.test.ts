import { expect, it } from 'vitest'
import { originServer } from '../../test/kit/origin-server.js'
import { owner } from '../../test/kit/owner.js'
import { balancedFetch } from './main.js'

const own = owner()

it('balances fetch with no server and no chain', async () => {
  const slow = own(await originServer((_req, res) => void res))
  const quick = own(await originServer((_req, res) => void res.end('quick')))
  const get = balancedFetch([slow.url, quick.url])
  const answers: string[] = []
  const controller = new AbortController()
  const busy: Promise<unknown>[] = []
  // Whichever gets the slow server keeps it busy: from then on the other answers.
  for (let i = 0; i < 6; i++) {
    const call = get('/', { signal: controller.signal }).then(async (response: Response) => {
      answers.push(await response.text())
    })
    busy.push(call.catch(() => {}))
    await Promise.race([call, slow.requests.length === 0 ? slow.request() : call]).catch(() => {})
  }
  expect(answers.length).toBeGreaterThanOrEqual(5)
  expect(slow.requests.length).toBeLessThanOrEqual(1)
  controller.abort()
  await Promise.all(busy)
})
