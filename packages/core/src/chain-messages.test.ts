import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from 'vitest'

const here = dirname(fileURLToPath(import.meta.url))
const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'))

const snippets = {
  needs: `
    declare const audited: Middleware<{ auditor: string }, {}>
    chain().use(audited)`,
  twice: 'chain().use(clientAddress()).use(clientAddress())',
  right:
    'chain().use(clientAddress()).handle((ctx) => ({ status: 200, headers: [], body: ctx.client.address }))',
}
let said = ''

// One run of the compiler for all of them: nearly all of its time is for what they import.
beforeAll(async () => {
  const folder = mkdtempSync(join(here, '..', '.types-'))
  try {
    for (const [name, snippet] of Object.entries(snippets))
      writeFileSync(
        join(folder, `${name}.ts`),
        `import { chain, clientAddress, type Middleware } from '@sluice/core'\n${snippet}`,
      )
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
      '--pretty',
      'false',
    ]
    const files = Object.keys(snippets).map((name) => `${name}.ts`)
    const args = [join(typescript, 'bin', 'tsc'), ...flags, ...files]
    said = await new Promise((resolve) => {
      execFile(process.execPath, args, { cwd: folder }, (error, stdout) =>
        resolve(error !== null && stdout === '' ? error.message : stdout),
      )
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)

/** What the compiler says of a snippet, and what it says of none. */
function messages(name: keyof typeof snippets): string {
  const others = Object.keys(snippets).filter((other) => other !== name)
  const all = said.split(/\n(?=\S)/)
  return all
    .filter((text) => !others.some((other) => text.startsWith(`${other}.ts(`)))
    .join('\n')
    .trim()
}

it('says which key a middleware needs', () => {
  const text = messages('needs')
  expect(text).toContain('this middleware needs')
  expect(text).toContain('auditor')
})

it('says which key is added twice', () => {
  const text = messages('twice')
  expect(text).toContain('an earlier middleware already adds')
  expect(text).toContain('client')
})

it('says nothing of a chain that is right', () => {
  expect(messages('right')).toBe('')
})
