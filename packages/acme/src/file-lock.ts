import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rmdir, stat, unlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AcmeLock } from './acme-storage.js'
import { isErrno } from './is-errno.js'
import { checkLockTime } from './storage-key.js'

/** How often, and how long apart in ms, one waits for others to step back who have asked at the same moment. */
const turns = 25
const pause = 8
/** How long after its time a claim without a name is removed, in ms. */
const abandoned = 60_000
/** A claim that was made later than now by more than that, in ms, was made before the clock was set back. */
const slack = 60_000

/**
 * A lock that is a folder of claims: one empty file each, whose time of modification is the moment when it lapses, and whose time of access
 * that when it was made or extended.
 *
 * take:    1. somebody's claim stands                                ──▶ no
 *          2. put one's own claim there
 *          3. nobody else's stands                                   ──▶ held; what has lapsed is removed
 *             a lower one stands                                     ──▶ no, one's own is removed
 *             higher ones stand, which are about to step back        ──▶ 3 again, a few times, then no
 * extend:  the time of one's own claim is set while it stands        ──▶ held; it is gone, or lapsed meanwhile: lost
 * whoever looks at a claim that was made later than now              ──▶ it was made now: the clock was set back, perhaps by days
 *
 * Two never hold it: of two who got to 3 the later one has found the claim of the other, for that was there before it looked. A claim that
 * has lapsed is removed by a holder alone, and one that is extended had not lapsed, so nobody has passed it by.
 *
 * It needs what local file systems give: a file that was made is listed, a time that was set is read, at once. Network file systems
 * that cache both don't.
 */
export class FileLock implements AcmeLock {
  private constructor(
    private readonly folder: string,
    private readonly claim: string,
    private made: number,
    private until: number,
  ) {}

  static async take(folder: string, ttl: number): Promise<FileLock | undefined> {
    checkLockTime(ttl, 'lock')
    const before = await claimsIn(folder)
    if (before.standing.length > 0) return undefined
    const claim = randomBytes(12).toString('hex')
    const made = Date.now()
    if (!(await place(folder, claim, made + ttl))) return undefined
    const lock = new FileLock(folder, claim, made, made + ttl)
    for (let turn = 0; turn < turns; turn++) {
      const { standing, lapsed } = await claimsIn(folder)
      const others = standing.filter((other) => other !== claim)
      if (others.length === 0) {
        // Those that had lapsed before this one was made: of their holders none can come back.
        for (const each of lapsed) if (each !== claim) await remove(join(folder, each))
        return lock
      }
      if (others.some((other) => other < claim)) break
      await sleep(pause)
    }
    await lock.release()
    return undefined
  }

  async extend(ttl: number): Promise<boolean> {
    checkLockTime(ttl, 'extend')
    const file = join(this.folder, this.claim)
    const now = Date.now()
    let before = this.until
    try {
      // The clock was set back: whoever has looked since has made its end an earlier one.
      if (now < this.made) before = Math.min(before, (await stat(file)).mtimeMs)
      if (now >= before) return this.lost()
      await touch(file, now + ttl)
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false
      throw error
    }
    // It has lapsed on the way: somebody may have looked just then.
    if (Date.now() >= before) return this.lost()
    this.made = now
    this.until = now + ttl
    return true
  }

  async release(): Promise<void> {
    await remove(join(this.folder, this.claim))
    // With the last claim. Where another one has come, it stays.
    await rmdir(this.folder).catch(() => {})
  }

  private async lost(): Promise<false> {
    this.until = 0
    await this.release()
    return false
  }
}

/** Which claims count, and which have lapsed. */
async function claimsIn(folder: string): Promise<{ standing: string[]; lapsed: string[] }> {
  const standing: string[] = []
  const lapsed: string[] = []
  for (const claim of await listed(folder)) {
    const until = await endOf(join(folder, claim)).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    })
    if (until === undefined) continue
    // One that has no name yet: of a process that was killed just then, when it is old.
    if (claim.startsWith('.')) {
      if (Date.now() > until + abandoned) lapsed.push(claim)
    } else (Date.now() < until ? standing : lapsed).push(claim)
  }
  return { standing, lapsed }
}

/** When a claim lapses. */
async function endOf(claim: string): Promise<number> {
  const { atimeMs, mtimeMs } = await stat(claim)
  // Some file systems have one time for both.
  if (atimeMs <= Date.now() + slack || atimeMs >= mtimeMs) return mtimeMs
  const until = Date.now() + mtimeMs - atimeMs
  await touch(claim, until)
  return until
}

async function listed(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

/**
 * Under its name it has its time from the first moment.
 * @returns whether it stands: not where others take the lock and give it back all the time
 */
async function place(folder: string, claim: string, until: number): Promise<boolean> {
  const made = join(folder, `.${claim}`)
  for (let left = 5; left >= 0; left--) {
    let isThere = false
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      isThere = true
      await (await open(made, 'wx', 0o600)).close()
      await touch(made, until)
      await rename(made, join(folder, claim))
      return true
    } catch (error) {
      // Whoever gave the lock back has removed the folder under it. One that can't be made is a fault.
      if (!isErrno(error, 'ENOENT') || (left === 0 && !isThere)) throw error
    }
  }
  return false
}

async function touch(file: string, until: number): Promise<void> {
  await utimes(file, new Date(), new Date(Math.ceil(until)))
}

async function remove(file: string): Promise<void> {
  try {
    await unlink(file)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}
