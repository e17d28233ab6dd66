// The suite's own origin server: `origin.mjs FOLDER LOG`. What it says goes to the file LOG.
import { createWriteStream } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'
import { announce, endWithTheRun } from '../../bench/lib/announce.mjs'
import { accepts, freePort } from '../../bench/lib/ports.mjs'

const [folder, file] = process.argv.slice(2)
const log = createWriteStream(file)
console.log = (...words) => log.write(`${format(...words)}\n`)

const port = await freePort()
endWithTheRun()
Object.assign(process.env, {
  npm_config_protocol: 'http',
  npm_config_port: String(port),
  npm_config_pidfile: `${file}.pid`,
})
process.chdir(folder)
await import(pathToFileURL(`${folder}/server/server.mjs`).href)
while (!(await accepts(port))) await delay(20)
announce(port)
