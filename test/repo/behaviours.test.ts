import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { shared } from '../kit/shared.js'
import { skipUnless } from '../kit/skip.js'
import { read } from './tree.js'

const page = read('docs/behaviours.md')
const list = shared === undefined ? undefined : `${shared}/BEHAVIOURS.md`

interface Row {
  line: number
  file: string
  case: string
}

/** The rows of the tables below each heading that begins with After. */
function sections(text: string): Map<string, Row[]> {
  const found = new Map<string, Row[]>()
  for (const [heading = '', ...lines] of text.split(/^## /m).map((part) => part.split('\n'))) {
    if (!heading.startsWith('After ')) continue
    const rows = lines.flatMap((row) => {
      const [, line, file, title] = /^\| (\d+) \| .+? \| (none|`[^`]+`) \| (.+) \|$/.exec(row) ?? []
      return line === undefined
        ? []
        : [{ line: Number(line), file: (file as string).replaceAll('`', ''), case: title as string }]
    })
    // A row that the expression does not read would be held to nothing.
    expect(rows).toHaveLength(lines.filter((row) => /^\| \d/.test(row)).length)
    found.set(heading, rows)
  }
  return found
}

const rows = [...sections(page).values()].flat()

describe('the page of behaviours', () => {
  it('names test files that are there', () => {
    const files = rows.map(({ file }) => file).filter((file) => file !== 'none')
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((file) => !file.endsWith('.test.ts') || !existsSync(at(file)))).toEqual([])
  })

  it('names cases that are in them', () => {
    const missing = rows.filter(({ file, case: title }) => {
      if (file === 'none' || !existsSync(at(file))) return false
      // As it stands in the source: a name of a case or of a row of it.each, between quotes of one kind.
      return !["'", '"', '`'].some((quote) => read(file).includes(quote + title + quote))
    })
    expect(missing).toEqual([])
  })

  it('says of whatever has no case why, or what will bring it', () => {
    const bare = rows.filter(
      ({ file, case: title }) => file === 'none' && !/^(does not apply|not yet): .{20,}/.test(title),
    )
    expect(bare).toEqual([])
  })
})

describe.skipIf(skipUnless(list, 'the list of behaviours: there is no shared folder'))(
  'the list of behaviours',
  () => {
    it('has rows on the page for each of its lines, under the same headings', () => {
      const text = readFileSync(list as string, 'utf8')
      const lines = text
        .split(/^## /m)
        .slice(1)
        .map((part) => [part.slice(0, part.indexOf('\n')), (part.match(/^- /gm) ?? []).length])
      const covered = [...sections(page)].map(([heading, each]) => [
        heading,
        new Set(each.map(({ line }) => line)).size,
      ])
      expect(covered).toEqual(lines)
    })
  },
)
