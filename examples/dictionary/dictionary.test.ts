import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { dictionarySupport } from '@sluice/compress'
import { expect, it } from 'vitest'
import { trapUnhandled } from '../../test/kit/trap-unhandled.js'
import { measure } from './main.js'

trapUnhandled()
const { dcb, dcz } = dictionarySupport()
const can = dcb || dcz

it(`sends a new version as what is new in it: ${can ? 'this Node can' : "this Node can't, and says so"}`, async () => {
  const main = fileURLToPath(new URL('main.js', import.meta.url))
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main])
  expect(stderr).toBe('')
  const rows = (await measure()) as [string, number][] | undefined
  if (!can) {
    expect(rows).toBeUndefined()
    expect(stdout).toMatch(/^Node v[\d.]+ has no codec that takes a dictionary.*\n$/)
    return
  }
  const sizes = Object.fromEntries(rows ?? [])
  expect(Object.keys(sizes)).toEqual([
    'plain',
    'gzip',
    'br',
    ...(dcz ? ['dcz'] : []),
    ...(dcb ? ['dcb'] : []),
  ])
  for (const coding of ['dcz', 'dcb'])
    if (sizes[coding]) expect(sizes[coding]).toBeLessThan((sizes.br as number) / 10)
  for (const [coding, bytes] of rows ?? [])
    expect(stdout).toMatch(new RegExp(`^${coding} +${bytes} bytes +[\\d.]+%$`, 'm'))
})
