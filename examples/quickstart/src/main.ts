// What `npm start` runs: three small servers and a proxy in front of them, or a proxy in front of your own.
import { devCertificate } from '@sluice/tls'
import { createProxy, type Proxy } from 'sluice'
import { type DemoServer, demoServer } from './demo-server.js'

const usage = `npm start                              the demo, on PORT (default 8080, 0 picks a free one)
npm start -- http://127.0.0.1:3000 …   your servers
npm start -- --https                   either of them over TLS, with a certificate for this machine`

const given = process.argv.slice(2)
if (given.some((each) => each === '--help' || each === '-h')) {
  console.log(usage)
  process.exit(0)
}
const https = given.includes('--https')
const targets = given.filter((each) => each !== '--https')
const option = targets.find((each) => each.startsWith('-'))
if (option !== undefined) {
  console.error(`${option}: the only option is --https; PORT in the environment chooses the port`)
  process.exit(2)
}
const port = portOf(process.env['PORT'])
const demos: DemoServer[] = []
let proxy: Proxy | undefined
let ending = false

// First of all, so that a Ctrl-C at any time ends everything.
process.on('SIGINT', end)
process.on('SIGTERM', end)

try {
  if (targets.length === 0) for (const name of ['red', 'green', 'blue']) demos.push(await demoServer(name))
  const made = https ? await devCertificate() : undefined
  proxy = createProxy({
    upstreams: { demo: { targets: targets.length === 0 ? demos.map(({ url }) => url) : targets } },
    ...(made === undefined ? {} : { tls: { cert: made.cert, key: made.key } }),
    onError: (error) => console.error(`${error.code}: ${error.message}`),
  })
  const { address, port: listening } = await proxy.listen(port)
  const url = `${https ? 'https' : 'http'}://${address}:${listening}`
  const curl = made === undefined ? 'curl' : `curl --cacert '${made.caFile}'`
  for (const { name, url: at } of demos) console.log(`${name.padEnd(6)} ${at}`)
  for (const target of targets) console.log(`target ${target}`)
  console.log(`proxy  ${url}`)
  if (made !== undefined)
    console.log(`trust  ${made.caFile} (curl --cacert, or the settings of your browser)`)
  console.log()
  if (demos.length > 0) {
    console.log(`Try: ${curl} ${url}/ a few times, and watch the names change.`)
    console.log(`Then kill one with curl ${demos[0]?.url}/die and go on: the others answer.`)
  } else {
    console.log(`Try: ${curl} ${url}/`)
  }
  console.log('Ctrl-C drains and ends everything.')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
  await close()
}

function end(): void {
  if (ending) return
  ending = true
  console.log('\ndraining')
  void close().then(() => console.log('ended'))
}

async function close(): Promise<void> {
  await proxy?.close({ drain: '2s' })
  for (const demo of demos) demo.close()
}

function portOf(text = '8080'): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number
  console.error(`PORT: got ${JSON.stringify(text)}, takes a whole number from 0 to 65535`)
  process.exit(2)
}
