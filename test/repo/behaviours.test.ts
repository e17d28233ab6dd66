import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { read } from './tree.js'

const root = new URL('../../', import.meta.url)

describe('docs/behaviours.md', () => {
  it('names test files that are there', () => {
    const named = [...read('docs/behaviours.md').matchAll(/`([\w./-]+\.test\.ts)`/g)].map(
      ([, file]) => file as string,
    )
    expect(named.length).toBeGreaterThan(50)
    const missing = named.filter(
      (file) => !existsSync(new URL(file.includes('/') ? file : `test/conformance/${file}`, root)),
    )
    expect(missing).toEqual([])
  })
})
