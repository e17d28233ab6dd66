import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../results/profiles', import.meta.url))

/** Where the profile of a contender goes, and the flags by which Node writes it there when the process ends. */
export function profileOf(name) {
  const file = `${name}.cpuprofile`
  const flags = [
    '--cpu-prof',
    '--cpu-prof-interval',
    '500',
    '--cpu-prof-dir',
    folder,
    '--cpu-prof-name',
    file,
  ]
  return { file: join(folder, file), flags }
}
