import { fileURLToPath } from 'node:url'
import { codings } from '@sluice/compress'
import { expect, it } from 'vitest'
import { owner } from '../../test/kit/owner.js'
import { program } from '../../test/kit/program.js'
import { trapUnhandled } from '../../test/kit/trap-unhandled.js'
import { measure } from './main.js'

trapUnhandled()
const own = owner()

it('compresses text and events in each coding, and leaves an image as it is', async () => {
  const found = await measure()
  expect(Object.keys(found)).toEqual(['/people.json', '/people.html', '/photo.png', '/events'])
  for (const [path, { identity, ...coded }] of Object.entries(found)) {
    expect(identity?.coding).toBeUndefined()
    expect(Object.keys(coded)).toEqual(codings)
    for (const [coding, answer] of Object.entries(coded)) {
      if (path === '/photo.png') expect(answer).toEqual(identity)
      else {
        expect(answer.coding).toBe(coding)
        expect(answer.bytes).toBeLessThan((identity?.bytes ?? 0) / 2)
      }
    }
  }
})

it('prints a table and ends', async () => {
  const run = own(program([fileURLToPath(new URL('main.js', import.meta.url))]))
  expect(await run.ended).toBe(0)
  const [head, ...rows] = run.output.trimEnd().split('\n')
  expect(head?.trim().split(/\s+/)).toEqual(['plain', ...codings])
  expect(rows.map((row) => row.split(' ')[0])).toEqual([
    '/people.json',
    '/people.html',
    '/photo.png',
    '/events',
  ])
  expect(rows[2]).toContain('as it is')
})
