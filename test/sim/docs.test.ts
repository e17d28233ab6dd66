import { readdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { makeDocs, readDocs } from './lib/docs.mjs'

const anew = 'docs/balancing.md is not what a run writes: npm run sim -- --docs'

// Every table, figure and plot of the page: no timeout of its own would be fair on a machine that does other things too.
it('docs/balancing.md and its plots are what a run writes', { timeout: 300_000 }, async () => {
  const { text } = readDocs()
  const made = await makeDocs(text)
  expect(made.text, anew).toBe(text)
  const names = Object.keys(made.plots)
  expect(readDocs(names).plots, anew).toEqual(made.plots)
  const shown = [...text.matchAll(/\]\(plots\/([^)]+)\)/g)].map(([, name]) => name)
  expect(shown.sort()).toEqual(names.sort())
  expect(readdirSync(at('docs/plots')).filter((name) => name.startsWith('balancing-'))).toEqual(names)
})
