import { createHash, scryptSync } from 'node:crypto'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { hashPassword } from './hash-password.js'
import { checkPassword, readPassword, type StoredPassword } from './password-check.js'
import { usersOf } from './users.js'

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')

/** As `hashPassword` makes them, at a cost that takes no time. */
function cheap(password: string, salt = Buffer.alloc(16, 1)): string {
  const hash = scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 })
  return `$scrypt$ln=10,r=8,p=1$${unpadded(salt)}$${unpadded(hash)}`
}

const sha = (password: string): string => `sha256:${createHash('sha256').update(password).digest('hex')}`

describe('a password as it is kept', () => {
  it('is made by hashPassword, another text each time', async () => {
    const [one, two] = await Promise.all([hashPassword('wonder'), hashPassword('wonder')])
    expect(one).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(one).not.toBe(two)
    const stored = readPassword(one) as StoredPassword
    expect(await checkPassword(stored, 'wonder')).toBe(true)
    expect(await checkPassword(stored, 'Wonder')).toBe(false)
    await expect(hashPassword('')).rejects.toThrow('hashPassword: takes a password')
  })

  it.each([
    ['of Apache', '$apr1$salt$hash'],
    ['of bcrypt', '$2y$05$abcdefghijklmnopqrstuv'],
    ['of crypt', '$6$salt$hash'],
    ['of argon2', '$argon2id$v=19$m=1,t=1,p=1$a$b'],
    ['of LDAP', '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='],
    ['cut off', '$scrypt$ln=15,r=8,p=3$AAAAAAAAAAA'],
    ['that would take all memory', cheap('x').replace('ln=10', 'ln=24')],
    ['that takes no work', cheap('x').replace('ln=10', 'ln=1')],
    ['of SHA-256 that is short', 'sha256:abcd'],
    ['that is empty', ''],
    ['that is none', 7],
  ])('is none where it is a hash %s', (_, text) => {
    expect(readPassword(text)).toBeUndefined()
  })

  it('may begin as a hash does, and be none', () => {
    for (const text of ['$ecret', '$2 is two', 'scrypt', '{curly', 'sha256'])
      expect(readPassword(text)?.kind).toBe('plain')
  })
})

describe('users', () => {
  it('of all kinds are told by their passwords', async () => {
    const isUser = usersOf({ ann: 'wonder', bob: sha('builder'), cid: cheap('campeador') })
    const right = { ann: 'wonder', bob: 'builder', cid: 'campeador' }
    for (const [name, password] of Object.entries(right))
      for (const other of Object.values(right))
        for (let i = 0; i < 2; i++) expect(await isUser(name, other)).toBe(other === password)
    for (const name of ['dan', 'Ann', '__proto__', 'constructor', 'toString', ''])
      expect(await isUser(name, 'wonder')).toBe(false)
    expect(await isUser('ann', '')).toBe(false)
  })

  it('are those whom a function knows, by any promise', async () => {
    // Of another realm, as libraries have promises of their own.
    const promise: unknown = runInNewContext('Promise.resolve(true)')
    expect(promise).not.toBeInstanceOf(Promise)
    expect(await usersOf(() => promise as never)('ann', 'x')).toBe(true)
    expect(usersOf(() => true)('ann', 'x')).toBe(true)
    for (const none of [1, 'yes', {}, undefined, null])
      expect(await usersOf(() => none as never)('ann', 'x')).toBe(false)
  })

  it('are told at once where nothing has to be worked on', () => {
    const isUser = usersOf({ ann: 'wonder', bob: sha('builder') })
    expect([
      isUser('ann', 'wonder'),
      isUser('bob', 'builder'),
      isUser('ann', 'x'),
      isUser('dan', 'x'),
    ]).toEqual([true, true, false, false])
  })

  it('are remembered where they were right, and worked on where they were not', async () => {
    const isUser = usersOf({ cid: cheap('campeador') })
    expect(isUser('cid', 'campeador')).toBeInstanceOf(Promise)
    expect(await isUser('cid', 'campeador')).toBe(true)
    expect(isUser('cid', 'campeador')).toBe(true)
    const wrong = isUser('cid', 'campeado')
    expect(wrong).toBeInstanceOf(Promise)
    expect(await wrong).toBe(false)
    // Nobody can tell who there is by how long it takes: it is worked on for those who aren't there too.
    expect(isUser('dan', 'campeador')).toBeInstanceOf(Promise)
  })

  it('wait for each other, so many and no more', async () => {
    const isUser = usersOf({ cid: cheap('campeador') })
    const all = Array.from({ length: 80 }, (_, i) =>
      Promise.resolve(isUser('cid', i % 2 === 0 ? 'campeador' : 'x')),
    )
    const ends = await Promise.allSettled(all)
    const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
    expect(refused).toHaveLength(80 - 2 - 64)
    for (const each of refused) expect(each).toMatchObject({ code: 'proxy_overloaded', retryAfter: 1_000 })
    expect(ends.slice(0, 66).map((end) => end.status === 'fulfilled' && end.value)).toEqual(
      Array.from({ length: 66 }, (_, i) => i % 2 === 0),
    )
    // All places are free again.
    expect(await Promise.all(Array.from({ length: 66 }, () => isUser('cid', 'x')))).toEqual(
      Array(66).fill(false),
    )
  })
})
