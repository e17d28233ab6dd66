import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { packages } from './tree.js'

describe.each(packages)('$name', ({ dir }) => {
  it('declares no generic Buffer: in older @types/node, and for TypeScript before 5.7, it takes no argument', () => {
    const dist = at(dir, 'dist')
    const declarations = readdirSync(dist).filter((file) => file.endsWith('.d.ts'))
    expect(declarations).not.toEqual([])
    expect(
      declarations.filter((file) => readFileSync(`${dist}/${file}`, 'utf8').includes('Buffer<')),
    ).toEqual([])
  })
})
