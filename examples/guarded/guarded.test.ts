import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { owner } from '../../test/kit/owner.js'
import { program } from '../../test/kit/program.js'
import { trapUnhandled } from '../../test/kit/trap-unhandled.js'
import { askInEachWay } from './main.js'

trapUnhandled()
const own = owner()

const statuses = {
  'a page': 200,
  'two hosts': 400,
  'a large body': 413,
  'nobody at /admin': 401,
  'alice at /admin': 200,
  'a link': 200,
  'a link that was changed': 403,
  'a page of another site': 403,
  'a search': 200,
  'a second one': 200,
  'a third one': 429,
}

it('refuses what is wrong, asks who comes, and says nothing of who serves', async () => {
  const { answers, refused } = await askInEachWay()
  const got = Object.fromEntries(Object.entries(answers).map(([what, { status }]) => [what, status]))
  expect(got).toEqual(statuses)
  expect(answers['a page']?.body).toBe('anybody /page')
  expect(answers['alice at /admin']?.body).toBe('alice /admin')
  expect(answers['a link']?.body).toBe('anybody /media/film')
  expect(answers['nobody at /admin']?.headers['www-authenticate']).toMatch(/^Basic /)
  expect(answers['a third one']?.headers['retry-after']).toMatch(/^\d+$/)
  for (const reason of ['credentials-missing', 'signature-wrong', 'cors-origin'])
    expect(refused).toContain(reason)
  for (const [what, { headers }] of Object.entries(answers)) {
    // What framing refuses is refused before any layer.
    if (what !== 'two hosts') expect(headers['x-request-id']).toMatch(/^[\da-f-]{36}$/)
    expect(JSON.stringify(headers)).not.toMatch(/leaky|host-17|sluice/i)
  }
  expect(answers['a page']?.headers['x-content-type-options']).toBe('nosniff')
})

it('prints what came and ends', async () => {
  const run = own(program([fileURLToPath(new URL('main.js', import.meta.url))]))
  expect(await run.ended).toBe(0)
  const lines = run.output.trimEnd().split('\n')
  expect(lines.map((line) => Number(line.slice(25, 28)))).toEqual(Object.values(statuses))
})
