import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { root } from '../../scripts/lib/workspace.mjs'
import { packages } from './tree.js'

describe.each(packages)('$name', ({ name }) => {
  it('can be imported without holding the process open or saying anything', async () => {
    const args = ['--input-type=module', '--eval', `await import('${name}')`]
    // A timer or a socket left open would make the child outlive its time, and so be killed.
    const child = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 10_000 })
    expect(child).toEqual({ stdout: '', stderr: '' })
  })
})

it('sluice loads nothing large that only some want: that comes when it is wanted', async () => {
  const hook =
    "import { writeSync } from 'node:fs'; export async function resolve(specifier, context, next) { writeSync(1, specifier + '\\n'); return next(specifier, context) }"
  const code = `
    import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}))
    await import('sluice')`
  const args = ['--input-type=module', '--eval', code]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 10_000 })
  const loaded = stdout.split('\n')
  expect(loaded).toContain('@sluice/acme')
  for (const name of ['undici', 'jose', '@peculiar/x509']) expect(loaded).not.toContain(name)
})
