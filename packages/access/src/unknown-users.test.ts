import { scryptSync } from 'node:crypto'
import { expect, it, vi } from 'vitest'
import type { StoredPassword } from './password-check.js'
import { usersOf } from './users.js'

/** What scrypt has worked on, by its cost. */
const worked = vi.hoisted(() => [] as number[])

vi.mock('./password-check.js', async (original) => {
  const real = await original<typeof import('./password-check.js')>()
  return {
    ...real,
    checkPassword: (stored: StoredPassword, password: string) => {
      if (stored.kind === 'scrypt') worked.push(stored.cost.ln)
      return real.checkPassword(stored, password)
    },
  }
})

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')

function hashed(ln: number): string {
  const salt = Buffer.alloc(16, ln)
  const hash = scryptSync('wonder', salt, 32, { N: 2 ** ln, r: 1, p: 1 })
  return `$scrypt$ln=${ln},r=1,p=1$${unpadded(salt)}$${unpadded(hash)}`
}

it('takes as long for users who are not there as for some who are, and for each always the same', async () => {
  const isUser = usersOf({ ann: hashed(10), bob: hashed(11), cid: hashed(12), dan: 'plain' })
  const costOf = async (name: string): Promise<string> => {
    worked.length = 0
    expect(await isUser(name, 'wrong')).toBe(false)
    return worked.join()
  }
  const names = Array.from({ length: 40 }, (_, i) => `nobody${i}`)
  const costs = []
  for (const name of names) costs.push(await costOf(name))
  // By one cost alone everybody else would be known by theirs.
  expect([...new Set(costs)].sort()).toEqual(['10', '11', '12'])
  for (const [i, name] of names.entries()) expect(await costOf(name)).toBe(costs[i])
  expect([await costOf('ann'), await costOf('bob'), await costOf('cid')]).toEqual(['10', '11', '12'])
  expect(['10', '11', '12']).toContain(await costOf('dan'))
})
