import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { filesBelow } from '../../scripts/lib/workspace.mjs'
import { shared } from '../kit/shared.js'
import { skipUnless } from '../kit/skip.js'
import { read } from './tree.js'

const list = shared === undefined ? undefined : `${shared}/PAINS.md`

describe.skipIf(skipUnless(list, 'the list of pains: there is no shared folder'))('the list of pains', () => {
  it('has a case for each of its rows, and there is no other', () => {
    const text = readFileSync(list as string, 'utf8')
    const rows = [...text.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number))
    const files = filesBelow('test/conformance').filter((file) => /\/pains[\w-]*\.test\.ts$/.test(file))
    const cases = files.flatMap((file) => [...read(file).matchAll(/'pain (\d+) \(/g)])
    const covered = [...new Set(cases.map(([, number]) => Number(number)))].sort((a, b) => a - b)
    expect(rows.length).toBeGreaterThan(0)
    expect(covered).toEqual(rows)
  })
})
