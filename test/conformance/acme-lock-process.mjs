// A process of the tests: takes a lock again and again, and says when somebody else is in what it guards.
import { mkdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileStorage } from '@sluice/acme'

const [, , folder, turns, ttl] = process.argv
const storage = fileStorage(folder)
const guarded = join(folder, 'guarded')
for (let done = 0; done < Number(turns); ) {
  const lock = await storage.lock('a/*.test', Number(ttl))
  if (lock === undefined) {
    await sleep(Math.random() * 5)
    continue
  }
  await mkdir(guarded).catch((error) => process.stdout.write(`BROKEN ${error.message}\n`))
  if (!(await lock.extend(Number(ttl)))) process.stdout.write('LOST\n')
  await rmdir(guarded)
  await lock.release()
  done++
}
process.stdout.write('done\n')
