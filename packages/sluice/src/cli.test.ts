import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { originServer, owner, program } from '../../../test/kit/index.js'

const own = owner()
const bin = fileURLToPath(new URL('../bin/sluice.js', import.meta.url))

it('fronts its targets, and exits 0 after a drained Ctrl-C', async () => {
  const origin = own(await originServer())
  const cli = own(program([bin, origin.url, '--port', '0']))
  const [, url] = await cli.says(/sluice: (http:\S+) ->/)
  expect(await (await fetch(`${url}/`)).text()).toBe('ok')
  cli.signalGroup('SIGINT')
  expect(await cli.ended).toBe(0)
})

it('lets a request in flight finish before it exits', async () => {
  const origin = own(await originServer(() => {}))
  const cli = own(program([bin, origin.url, '--port', '0']))
  const [, url] = await cli.says(/sluice: (http:\S+) ->/)
  const answer = fetch(`${url}/slow`).then((response) => response.text())
  const { res } = await origin.request()
  cli.signalGroup('SIGTERM')
  await cli.says(/draining/)
  res.end('late, and whole')
  expect(await answer).toBe('late, and whole')
  expect(await cli.ended).toBe(0)
})

it('takes a signal that comes twice, by the terminal and by npm, for one', async () => {
  const origin = own(await originServer(() => {}))
  const cli = own(program([bin, origin.url, '--port', '0']))
  const [, url] = await cli.says(/sluice: (http:\S+) ->/)
  const answer = fetch(`${url}/slow`).then((response) => response.text())
  const { res } = await origin.request()
  cli.signalGroup('SIGINT')
  await cli.says(/draining/)
  cli.signalGroup('SIGINT')
  res.end('late, and whole')
  expect(await answer).toBe('late, and whole')
  expect(await cli.ended).toBe(0)
})

it('prints its help and its version', async () => {
  const help = own(program([bin, '--help']))
  expect(await help.ended).toBe(0)
  expect(help.output).toContain('Usage: sluice TARGET...')
  const version = own(program([bin, '--version']))
  expect(await version.ended).toBe(0)
  expect(version.output).toMatch(/^\d+\.\d+\.\d+/)
})

it.each([
  [[], 'no target'],
  [['http://127.0.0.1:1', '--prot', '1'], "Unknown option '--prot'"],
  [['http://127.0.0.1:1', '--port', 'x'], '--port: got "x"'],
  [['http://127.0.0.1:1', '--port', '70000'], '--port: got "70000"'],
  [['127.0.0.1:1'], "takes a URL with its scheme: 'http://127.0.0.1:1'"],
])('exits 2 on wrong arguments: %j', async (args, says) => {
  const cli = own(program([bin, ...args]))
  expect(await cli.ended).toBe(2)
  expect(cli.output).toContain(says)
})

it('exits 1 when its port is in use', async () => {
  const taken = own(await originServer())
  const cli = own(program([bin, taken.url, '--port', String(taken.port)]))
  expect(await cli.ended).toBe(1)
  expect(cli.output).toContain('the port is in use')
})
