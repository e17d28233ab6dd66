// What `npm start` runs: three small servers and a proxy in front of them, or a proxy in front of your own.
//   npm start                               the demo, on PORT (default 8080, 0 picks a free one)
//   npm start -- http://127.0.0.1:3000 …    your servers
import { createProxy, type Proxy } from 'sluice'
import { type DemoServer, demoServer } from './demo-server.js'

const targets = process.argv.slice(2)
const option = targets.find((given) => given.startsWith('-'))
if (option !== undefined) {
  console.error(`${option}: there are no options; PORT in the environment chooses the port`)
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
  proxy = createProxy({
    upstreams: { demo: { targets: targets.length === 0 ? demos.map(({ url }) => url) : targets } },
    onError: (error) => console.error(`${error.code}: ${error.message}`),
  })
  const { address, port: listening } = await proxy.listen(port)
  const url = `http://${address}:${listening}`
  for (const { name, url: at } of demos) console.log(`${name.padEnd(6)} ${at}`)
  for (const target of targets) console.log(`target ${target}`)
  console.log(`proxy  ${url}\n`)
  if (demos.length > 0) {
    console.log(`Try: curl ${url}/ a few times, and watch the names change.`)
    console.log(`Then kill one with curl ${demos[0]?.url}/die and go on: the others answer.`)
  } else {
    console.log(`Try: curl ${url}/`)
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
