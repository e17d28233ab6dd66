import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const here = dirname(fileURLToPath(import.meta.url))
const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'))

/** What the compiler says of a snippet. */
function compile(snippet: string): string {
  const folder = mkdtempSync(join(here, '..', '.types-'))
  try {
    const file = join(folder, 'snippet.ts')
    writeFileSync(file, `import { chain, clientAddress, type Middleware } from '@sluice/core'\n${snippet}`)
    const flags = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      'node',
    ]
    execFileSync(process.execPath, [join(typescript, 'bin', 'tsc'), ...flags, file], {
      encoding: 'utf8',
      cwd: folder,
    })
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  } finally {
    rmSync(folder, { recursive: true })
  }
}

it('says which key a middleware needs', () => {
  const text = compile(`
    declare const audited: Middleware<{ auditor: string }, {}>
    chain().use(audited)`)
  expect(text).toContain('this middleware needs')
  expect(text).toContain('auditor')
})

it('says which key is added twice', () => {
  const text = compile('chain().use(clientAddress()).use(clientAddress())')
  expect(text).toContain('an earlier middleware already adds')
  expect(text).toContain('client')
})

it('says nothing of a chain that is right', () => {
  expect(
    compile(
      'chain().use(clientAddress()).handle((ctx) => ({ status: 200, headers: [], body: ctx.client.address }))',
    ),
  ).toBe('')
})
