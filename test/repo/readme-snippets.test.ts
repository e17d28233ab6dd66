import { type ExecFileException, execFile, fork } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { type Deferred, deferred } from '../kit/until.js'
import { documents, read } from './tree.js'

interface Snippet {
  /** Page and line, for the reader of a failure. */
  readonly at: string
  readonly file: string
  readonly code: string
}

// Inside the checkout, so that the names of its packages resolve.
const folder = '.build/snippets'
const limit = 10_000

const snippets = documents().flatMap((page) => snippetsOf(page, read(page)))
let complaints = ''

/** The complete programs of a page: fences whose info is just `ts` or `js`. */
function snippetsOf(page: string, text: string): Snippet[] {
  return [...text.matchAll(/^```(ts|js)\n([\s\S]*?)^```$/gm)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length
    const file = `${page.replaceAll(/[^\w]+/g, '-')}-${line}.${match[1]}`
    return { at: `${page}:${line}`, file, code: match[2] ?? '' }
  })
}

interface End {
  readonly code: number | string | null | undefined
  readonly output: string
}

function run(args: string[], timeout: number): Promise<End> {
  const options = { cwd: at(folder), timeout, killSignal: 'SIGKILL' } as const
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error: ExecFileException | null, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), output: stdout + stderr })
    })
  })
}

const program = ({ file }: Snippet): string => file.replace(/\.ts$/, '.js')
const ends = new Map<string, Deferred<End>>(snippets.map((each) => [program(each), deferred<End>()]))

/** Runs these one after the other. One that ends its process, or doesn't end in its time, leaves the others to a new process. */
async function runAll(programs: readonly string[]): Promise<void> {
  let left = programs
  while (left.length > 0) left = left.slice(await runSome(left))
}

/** @returns how many of them have ended */
function runSome(programs: readonly string[]): Promise<number> {
  const child = fork(at('test/repo/run-programs.mjs'), programs, { cwd: at(folder), silent: true })
  let done = 0
  let output = ''
  const end = (code: End['code']): void => {
    ends.get(programs[done++] as string)?.resolve({ code, output })
    output = ''
  }
  const late = setTimeout(() => child.kill('SIGKILL'), limit)
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  child.on('message', ({ code }: { code: number }) => {
    late.refresh()
    end(code)
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(late)
      if (done < programs.length) end(code ?? signal)
      resolve(done)
    })
  })
}

/** What the compiler said of that file, and what it said of none. */
function complaintsAbout(file: string): string[] {
  const lines = complaints.split('\n').filter((line) => line !== '')
  return lines.filter((line) => line.startsWith(`${file}(`) || !/^\S+\.ts\(|^ /.test(line))
}

beforeAll(async () => {
  rmSync(at(folder), { recursive: true, force: true })
  mkdirSync(at(folder), { recursive: true })
  for (const { file, code } of snippets) writeFileSync(at(folder, file), code)
  // One compiler for all of them: they must compile as they are printed, under the same rules as the sources.
  const compilerOptions = {
    composite: false,
    declaration: false,
    sourceMap: false,
    rootDir: '.',
    outDir: '.',
  }
  const config = { extends: at('tsconfig.base.json'), compilerOptions, include: ['*.ts'], exclude: [] }
  writeFileSync(at(folder, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(at(folder, 'package.json'), '{"type":"module"}')
  complaints = (await run([at('node_modules/typescript/bin/tsc'), '-p', '.', '--pretty', 'false'], 60_000))
    .output
  void runAll([...ends.keys()])
}, 90_000)

describe('the programs in the documents', () => {
  it('are found: complete ones, no fragments', () => {
    const page = '```ts\na\n```\n\n```ts fragment\nb\n```\n\ntext\n\n```js\nc\nd\n```\n\n```sh\ne\n```\n'
    expect(snippetsOf('docs/x.md', page)).toEqual([
      { at: 'docs/x.md:1', file: 'docs-x-md-1.ts', code: 'a\n' },
      { at: 'docs/x.md:11', file: 'docs-x-md-11.js', code: 'c\nd\n' },
    ])
  })

  it.each(snippets)('$at compiles, runs and ends', async (snippet) => {
    expect(complaintsAbout(snippet.file)).toEqual([])
    const { promise } = ends.get(program(snippet)) as Deferred<End>
    const { code, output } = await promise
    expect(code, output).toBe(0)
  })
})
