import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { writtenFiles } from './tree.js'

// What a clone would have, and a space in the path, for people have those.
const outside = mkdtempSync(join(tmpdir(), 'sluice clone '))
const clone = join(outside, 'a clone')

interface Started {
  readonly child: ChildProcess
  readonly output: () => string
  /** The proxy's URL, once it has said it. */
  readonly url: Promise<string>
}

function npmStart(...args: string[]): Started {
  const env = { ...process.env, PORT: '0', NO_COLOR: '1' }
  // A process group of its own, as a terminal gives it, so that a signal can go to all of it.
  const child = spawn('npm', ['start', '--', ...args], {
    cwd: clone,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const url = new Promise<string>((resolve, reject) => {
    const take = (chunk: Buffer) => {
      output += chunk
      const found = /^proxy\s+(http:\S+)/m.exec(output)?.[1]
      if (found !== undefined) resolve(found)
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    child.on('exit', () => reject(new Error(`npm start ended:\n${output}`)))
  })
  url.catch(() => {})
  return { child, output: () => output, url }
}

async function interrupted({ child }: Started): Promise<number | null> {
  const ended = once(child, 'exit')
  process.kill(-(child.pid ?? 0), 'SIGINT')
  const [code] = await ended
  return code as number | null
}

function groupIsGone({ child }: Started): boolean {
  try {
    process.kill(-(child.pid ?? 0), 0)
    return false
  } catch {
    return true
  }
}

describe('a fresh clone', () => {
  beforeAll(() => {
    for (const file of writtenFiles()) cpSync(at(file), join(clone, file))
  })
  afterAll(() => rmSync(outside, { recursive: true, force: true }))

  it('serves by `npm start`, without the development tools, and ends all of it on Ctrl-C', {
    timeout: 60_000,
  }, async () => {
    const started = npmStart()
    try {
      const response = await fetch(await started.url)
      expect(response.status).toBe(200)
      await response.text()
      expect(existsSync(join(clone, 'node_modules/vitest'))).toBe(false)
      expect(await interrupted(started), started.output()).toBe(0)
      expect(groupIsGone(started)).toBe(true)
    } finally {
      if (!groupIsGone(started)) process.kill(-(started.child.pid ?? 0), 'SIGKILL')
    }
  })

  it('starts again without the package manager and the compiler', { timeout: 30_000 }, async () => {
    const started = npmStart()
    try {
      const response = await fetch(await started.url)
      await response.text()
      expect(started.output()).not.toMatch(/^(install|build) /m)
      expect(await interrupted(started), started.output()).toBe(0)
    } finally {
      if (!groupIsGone(started)) process.kill(-(started.child.pid ?? 0), 'SIGKILL')
    }
  })

  it('installs and builds once when two start at the same time', { timeout: 60_000 }, async () => {
    rmSync(join(clone, 'node_modules'), { recursive: true })
    const both = [npmStart(), npmStart()]
    try {
      for (const started of both) {
        const response = await fetch(await started.url)
        expect(response.status).toBe(200)
        await response.text()
      }
      const builds = both.filter((started) => /^build /m.test(started.output()))
      expect(builds).toHaveLength(1)
      for (const started of both) expect(await interrupted(started), started.output()).toBe(0)
    } finally {
      for (const started of both)
        if (!groupIsGone(started)) process.kill(-(started.child.pid ?? 0), 'SIGKILL')
    }
  })
})
