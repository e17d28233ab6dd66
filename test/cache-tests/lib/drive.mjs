// Runs the client of the suite in this process, as its own command does: `drive.mjs FOLDER ADDRESS IDS VERBOSE`, the ids as JSON. What is
// printed is what that command prints.
import { pathToFileURL } from 'node:url'
import { definitions } from './suite.mjs'

const [folder, address, told, verbose] = process.argv.slice(2)
const ids = new Set(JSON.parse(told))

// The command reads the same modules, so what is taken out here is not run.
for (const suite of await definitions(folder)) {
  suite.tests = suite.tests.filter(({ id }) => ids.has(id))
  for (const test of suite.tests) if (verbose === 'verbose') test.dump = true
}

process.env.npm_config_base = address
// It asks for one test otherwise.
process.env.npm_package_config_id = ''
delete process.env.npm_config_id
await import(pathToFileURL(`${folder}/cli.mjs`).href)
