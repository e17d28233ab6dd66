// One install or build at a time in a checkout: `npm start` and `npm test` may run at once.
// The lock is a folder, since making one is atomic. Its owner touches it while it works; a lock whose owner is gone, or
// that nobody has touched for a while (another process got the owner's number), is taken over.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { interruptCode } from './run.mjs'
import { at } from './workspace.mjs'

const folder = at('.build', 'bootstrap.lock')
const touchEvery = 2000
const abandonedAfter = 30_000

/** Runs `work` while no other process of this checkout holds the lock; says so once if it has to wait. */
export async function locked(work) {
  let said = false
  while (!acquire()) {
    if (interruptCode() !== undefined) return interruptCode()
    const owner = ownerOf(folder)
    if (abandoned(owner)) {
      takeAway(owner)
      continue
    }
    if (!said) console.log(`Waiting for another run (process ${owner}) to install and build.`)
    said = true
    await sleep(200)
  }
  const touching = setInterval(touch, touchEvery)
  process.on('exit', release)
  try {
    return await work()
  } finally {
    clearInterval(touching)
    process.off('exit', release)
    release()
  }
}

function acquire() {
  try {
    mkdirSync(at('.build'), { recursive: true })
    mkdirSync(folder)
    writeFileSync(`${folder}/pid`, String(process.pid))
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function touch() {
  const now = new Date()
  if (ownerOf(folder) === process.pid) utimesSync(folder, now, now)
}

function release() {
  if (ownerOf(folder) === process.pid) rmSync(folder, { recursive: true, force: true })
}

/** The owner's process id; undefined in the instant between the folder and its file. */
function ownerOf(where) {
  try {
    return Number(readFileSync(`${where}/pid`, 'utf8')) || undefined
  } catch {
    return undefined
  }
}

function abandoned(owner) {
  const silence = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
  return silence > abandonedAfter || (owner !== undefined && !alive(owner))
}

function alive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Renames first: of several that want an abandoned lock gone, one succeeds. What turns out to be a new one is put back. */
function takeAway(owner) {
  const aside = `${folder}.${process.pid}`
  try {
    renameSync(folder, aside)
    if (ownerOf(aside) !== owner) return renameSync(aside, folder)
  } catch {
    return
  }
  rmSync(aside, { recursive: true, force: true })
}
