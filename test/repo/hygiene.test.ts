import { extname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { read, writtenFiles } from './tree.js'

const binary = ['.png', '.jpg', '.gif', '.ico', '.woff2', '.gz', '.br', '.der', '.p12']
const texts = writtenFiles()
  .filter((file) => !binary.includes(extname(file)))
  .map((file) => ({ file, text: read(file) }))

/** `file:line: what` for each place where the pattern is found. */
function found(pattern: RegExp, files = texts): string[] {
  return files.flatMap(({ file, text }) =>
    text.split('\n').flatMap((line, index) => {
      const [what] = pattern.exec(line) ?? []
      return what === undefined ? [] : [`${file}:${index + 1}: ${what}`]
    }),
  )
}

describe('what is in the repository', () => {
  it('names no folder of anybody’s machine', () => {
    expect(found(/(?<![\w.:/-])\/(?:work\/\w+|root(?=\/)|home\/\w+\/|Users\/\w+\/)|[A-Z]:\\Users\\/)).toEqual(
      [],
    )
  })

  it('names no registry, so that everybody’s own setting holds', () => {
    expect(
      found(/\b(?:registry\.[a-z]+js\.\w+|registry\.yarnpkg|npm\.jsr\.io|deb\.debian\.org|artif[a]ctory)/i),
    ).toEqual([])
  })

  it('has a lock file without addresses', () => {
    const lock = texts.filter(({ file }) => file === 'pnpm-lock.yaml')
    expect(lock).toHaveLength(1)
    expect(found(/https?:\/\/|tarball:/, lock)).toEqual([])
  })

  it('holds no merge that somebody has left half done', () => {
    expect(found(/^(?:<{7}|>{7}) /)).toEqual([])
  })

  it('leaves no test out and lets none run alone', () => {
    const tests = texts.filter(({ file }) => /\.test(-d)?\.ts$/.test(file))
    expect(
      found(
        /\b(?:it|test|describe|suite)\.(?:only|skip|todo)\b|^\s*(?:xit|xdescribe|fit|fdescribe)\(/,
        tests,
      ),
    ).toEqual([])
  })
})
