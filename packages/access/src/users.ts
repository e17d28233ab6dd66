import { timingSafeEqual } from 'node:crypto'
import { ProxyError } from '@sluice/core'
import type { BasicAuthOptions, CheckPassword } from './basic-auth-options.js'
import { checkPassword, macOf, readPassword, type StoredPassword } from './password-check.js'

/** How many passwords scrypt works on at once. It keeps threads busy that files and names need too, four as Node comes. */
const atOnce = 2
/** How many wait for that; what comes beyond is refused at once. */
const waiting = 64

/** Says whether a password is that user's, at once where it can. */
export type Users = (name: string, password: string) => boolean | Promise<boolean>

/**
 * The users of a table or a function. Who isn't in the table takes as long as who is. With scrypt a password that was right is remembered as a
 * MAC under a key of this process, so that it isn't worked on with each request; wrong ones are worked on each time, `atOnce` at a time.
 * @throws ProxyError proxy_overloaded, by the promise, if too many wait
 */
export function usersOf(users: BasicAuthOptions['users']): Users {
  return typeof users === 'function' ? byFunction(users) : byTable(users)
}

function byFunction(check: CheckPassword): Users {
  return (name, password) => {
    const given = check(name, password)
    // Whatever else it gives, such as a user's record, isn't a yes.
    if (typeof given === 'boolean') return given
    // Promises of others are none of Node's.
    return Promise.resolve(given).then((value) => value === true)
  }
}

function byTable(given: Readonly<Record<string, string>>): Users {
  const stored = new Map(
    Object.entries(given).map(([name, password]) => [name, readPassword(password) as StoredPassword]),
  )
  const remembered = new Map<string, Buffer>()
  const places = new Places()
  const all = [...stored.values()]
  const slow = all.filter(({ kind }) => kind === 'scrypt')
  const decoys = slow.length > 0 ? slow : all
  /** They may differ in what they take. So a name that isn't there takes what that of one who is there takes, and the same each time. */
  const decoyOf = (name: string): StoredPassword =>
    decoys[macOf(name).readUInt32BE(0) % decoys.length] as StoredPassword

  const work = async (name: string, password: string): Promise<boolean> => {
    const user = stored.get(name)
    const decoy = decoyOf(name)
    await places.take()
    try {
      // Where one is slow all are, known or not: how long it takes tells nothing of who there is.
      const right = user !== undefined && (await checkPassword(user, password))
      if (user?.kind !== 'scrypt' && !right) await checkPassword(decoy, password)
      if (right) remembered.set(name, macOf(password))
      return right
    } finally {
      places.free()
    }
  }

  return (name, password) => {
    const known = remembered.get(name)
    if (known !== undefined && timingSafeEqual(known, macOf(password))) return true
    if (slow.length > 0) return work(name, password)
    const user = stored.get(name)
    // Made for those who are there, too, since it takes time.
    const decoy = decoyOf(name)
    const right = checkPassword(user ?? decoy, password) as boolean
    return user !== undefined && right
  }
}

/** Places for work that is slow, in order of coming. */
class Places {
  private taken = 0
  private readonly queue: (() => void)[] = []

  async take(): Promise<void> {
    if (this.taken < atOnce) {
      this.taken++
      return
    }
    if (this.queue.length >= waiting)
      throw new ProxyError('proxy_overloaded', {
        reason: 'passwords-waiting',
        message: `${waiting} passwords wait to be checked`,
        retryAfter: 1_000,
      })
    // The place is handed over, and stays taken.
    await new Promise<void>((resolve) => this.queue.push(resolve))
  }

  free(): void {
    const next = this.queue.shift()
    if (next === undefined) this.taken--
    else next()
  }
}
