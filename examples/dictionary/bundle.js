// A bundle of real code: the modules of two packages in one file, as a bundler would write it.
import { readdirSync, readFileSync } from 'node:fs'

const folders = ['sluice', '@sluice/compress'].map((name) => new URL('.', import.meta.resolve(name)))

/** Two versions, a usual release apart: one function has another name, one module is new, one has gone, and the version is another. */
export function bundles() {
  const modules = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.js'))
      .map((name) => `// ${name}\n${readFileSync(new URL(name, folder), 'utf8')}`),
  )
  const text = modules.join('\n')
  const next = [...modules.slice(0, 9), 'export const news = () => "a new module"', ...modules.slice(10)]
  return {
    before: Buffer.from(`export const version = '1.4.0'\n${text}`),
    after: Buffer.from(
      `export const version = '1.5.0'\n${next.join('\n').replaceAll('availableDictionary', 'hashOfClient')}`,
    ),
  }
}
