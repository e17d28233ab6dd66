import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { httpClient } from '../../test/kit/client.js'
import { originServer } from '../../test/kit/origin-server.js'
import { owner } from '../../test/kit/owner.js'
import { program } from '../../test/kit/program.js'
import { until } from '../../test/kit/until.js'

const own = owner()
const main = fileURLToPath(new URL('dist/main.js', import.meta.url))

async function text(url: string): Promise<string> {
  return (await fetch(url)).text()
}

it('balances over three servers, goes on when one is killed, and drains on Ctrl-C', async () => {
  const demo = own(program([main], { PORT: '0' }))
  const [, url] = await demo.says(/proxy {2}(http:\S+)/)
  const [, red] = await demo.says(/red +(http:\S+)/)
  const seen = new Set<string>()
  await until(async () => {
    seen.add(/Hello from (\w+)/.exec(await text(`${url}/`))?.[1] ?? '')
    return seen.size === 3
  }, 'an answer of each server')

  expect(await text(`${red}/die`)).toContain('red dies now')
  for (let i = 0; i < 12; i++) expect(await text(`${url}/`)).toMatch(/Hello from (green|blue)/)

  demo.signalGroup('SIGINT')
  expect(await demo.ended).toBe(0)
  expect(demo.output).toContain('ended')
})

it("fronts the person's own servers", async () => {
  const origin = own(await originServer((_req, res) => void res.end('mine')))
  const demo = own(program([main, origin.url], { PORT: '0' }))
  const [, url] = await demo.says(/proxy {2}(http:\S+)/)
  expect(await text(`${url}/`)).toBe('mine')
  demo.signalGroup('SIGTERM')
  expect(await demo.ended).toBe(0)
})

it('speaks TLS with a certificate for this machine, and drains on Ctrl-C', async () => {
  const state = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  own({ close: async () => rmSync(state, { recursive: true, force: true }) })
  const demo = own(program([main, '--https'], { PORT: '0', XDG_STATE_HOME: state }))
  const [, port] = await demo.says(/proxy {2}https:\/\/127\.0\.0\.1:(\d+)\n/)
  const [, file = ''] = await demo.says(/Try: curl --cacert '(\S+)' https:/)
  expect(demo.output).toContain(`trust  ${file} (`)
  const client = own(httpClient({ port: Number(port), ca: readFileSync(file) }))
  expect((await client.ask()).text).toMatch(/Hello from \w+/)
  demo.signalGroup('SIGINT')
  expect(await demo.ended).toBe(0)
  expect(demo.output).toContain('ended')
})

it('says what is wrong with a target, a port, and a port in use', async () => {
  const wrong = own(program([main, 'localhost:3000'], { PORT: '0' }))
  expect(await wrong.ended).toBe(1)
  expect(wrong.output).toContain("takes a URL with its scheme: 'http://localhost:3000'")

  const option = own(program([main, '--port', '80'], { PORT: '0' }))
  expect(await option.ended).toBe(2)
  expect(option.output).toContain('--port: the only option is --https')

  const help = own(program([main, '--help'], { PORT: '0' }))
  expect(await help.ended).toBe(0)
  expect(help.output).toContain('npm start -- --https')

  const port = own(program([main], { PORT: 'eighty' }))
  expect(await port.ended).toBe(2)
  expect(port.output).toContain('PORT: got "eighty"')

  const taken = own(await originServer())
  const second = own(program([main], { PORT: String(taken.port) }))
  expect(await second.ended).toBe(1)
  expect(second.output).toContain(`cannot listen on 127.0.0.1:${taken.port}: the port is in use`)
})
