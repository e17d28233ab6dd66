import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Writes what was measured, with the date, and says where.
 * @param name of what was measured: without a `file` it goes to results/ by that name
 */
export function writeRecord(name, file, record) {
  const place = resolve(file ?? fileURLToPath(new URL(`../results/${name}.json`, import.meta.url)))
  mkdirSync(dirname(place), { recursive: true })
  writeFileSync(place, `${JSON.stringify({ date: new Date().toISOString(), ...record }, null, 2)}\n`)
  console.log(`Figures: ${place}`)
}
