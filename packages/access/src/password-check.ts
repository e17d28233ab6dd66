import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** What a password in a table may be, for error texts. */
export const passwordTakes =
  "a text of hashPassword, 'sha256:' with 64 hexadecimal digits, or the password itself, not empty"

/** A password as it is kept, made ready to be compared. */
export type StoredPassword =
  | { readonly kind: 'plain'; readonly mac: Buffer }
  | { readonly kind: 'sha256'; readonly digest: Buffer }
  | { readonly kind: 'scrypt'; readonly cost: ScryptCost; readonly salt: Buffer; readonly hash: Buffer }

/** What scrypt is to take (RFC 7914): N is 2 to the power of `ln`. */
export interface ScryptCost {
  readonly ln: number
  readonly r: number
  readonly p: number
}

// Texts of any length are compared as MACs of one length, under a key that nobody can guess.
const key = randomBytes(32)

/** Hashes of others' schemes, which would be taken for the password itself. */
const foreign = /^(\$(2[abxy]?|apr1|1|5|6|argon2\w*|pbkdf2\S*|7|y|gy)\$|\{\w+\}|sha256:|\$scrypt\$)/i

/** @returns `undefined` for what is no password of a table */
export function readPassword(text: unknown): StoredPassword | undefined {
  if (typeof text !== 'string' || text === '') return undefined
  const sha = /^sha256:([\da-f]{64})$/i.exec(text)
  if (sha !== null) return { kind: 'sha256', digest: Buffer.from(sha[1] as string, 'hex') }
  const phc = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]{11,})\$([\w+/]{22,86})$/.exec(text)
  if (phc !== null) {
    const [ln, r, p] = [Number(phc[1]), Number(phc[2]), Number(phc[3])]
    // A table must not be able to ask for more than a machine has: 2^20 at r = 8 is 1 GB.
    if (ln < 10 || ln > 18 || r < 1 || r > 16 || p < 1 || p > 16) return undefined
    return {
      kind: 'scrypt',
      cost: { ln, r, p },
      salt: Buffer.from(phc[4] as string, 'base64'),
      hash: Buffer.from(phc[5] as string, 'base64'),
    }
  }
  return foreign.test(text) ? undefined : { kind: 'plain', mac: macOf(text) }
}

/** Whether a password is the one that is kept: compared in constant time, at once unless scrypt has to work. */
export function checkPassword(stored: StoredPassword, password: string): boolean | Promise<boolean> {
  if (stored.kind === 'plain') return timingSafeEqual(stored.mac, macOf(password))
  if (stored.kind === 'sha256')
    return timingSafeEqual(stored.digest, createHash('sha256').update(password, 'utf8').digest())
  const { cost, salt, hash } = stored
  return derive(password, salt, hash.length, cost).then((made) => timingSafeEqual(made, hash))
}

/** A password under this process's own key, to be remembered and compared. */
export function macOf(password: string): Buffer {
  return createHmac('sha256', key).update(password, 'utf8').digest()
}

/** scrypt in a thread of the pool. */
export function derive(
  password: string,
  salt: Buffer,
  length: number,
  { ln, r, p }: ScryptCost,
): Promise<Buffer> {
  const N = 2 ** ln
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, { N, r, p, maxmem: 256 * N * r }, (error, made) => {
      if (error === null) resolve(made)
      else reject(error)
    })
  })
}
