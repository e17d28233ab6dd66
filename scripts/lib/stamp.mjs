// What was done last, kept where a `rm -rf node_modules` takes it along.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { at } from './workspace.mjs'

const file = (name) => at('node_modules', '.sluice', `${name}.json`)

/** The stamp of that name, or undefined. */
export function readStamp(name) {
  try {
    return JSON.parse(readFileSync(file(name), 'utf8'))
  } catch {
    return undefined
  }
}

/** Writes the stamp of that name. */
export function writeStamp(name, value) {
  mkdirSync(at('node_modules', '.sluice'), { recursive: true })
  writeFileSync(file(name), JSON.stringify(value))
}
