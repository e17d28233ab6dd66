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
