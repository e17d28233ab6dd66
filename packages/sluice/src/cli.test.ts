import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { httpClient } from '../../../test/kit/client.js'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { program } from '../../../test/kit/program.js'
import { x509Root } from '../../../test/kit/x509.js'

const own = owner()

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'sluice test-'))
  own({ close: async () => rmSync(made, { recursive: true, force: true }) })
  return made
}

/** Whom a client that trusts `ca` gets to over HTTP/1.1, then over HTTP/2. */
async function asked(url: string, ca: Buffer): Promise<string[]> {
  const port = Number(new URL(url).port)
  const clients = [false, true].map((http2) => own(httpClient({ port, ca, http2 })))
  return Promise.all(clients.map(async (client) => (await client.ask()).text))
}
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

it('serves this machine over TLS, and says what to trust it by', async () => {
  const origin = own(await originServer())
  const state = folder()
  const args = [bin, origin.url, '--https', '--port', '0']
  const cli = own(program(args, { XDG_STATE_HOME: state }))
  const [, url = ''] = await cli.says(/sluice: (https:\S+) ->/)
  const [, file = '', hint] = await cli.says(/to trust it: curl --cacert '(.+)' (\S+)\n/)
  expect(file).toBe(join(state, 'sluice', 'development', 'ca.pem'))
  expect(hint).toBe(`${url}/`)
  expect(await asked(url, readFileSync(file))).toEqual(['ok', 'ok'])
  cli.signalGroup('SIGINT')
  expect(await cli.ended).toBe(0)
  // Who trusts it is not asked again.
  const ca = readFileSync(file)
  const again = own(program(args, { XDG_STATE_HOME: state }))
  const [, next = ''] = await again.says(/sluice: (https:\S+) ->/)
  expect(await asked(next, ca)).toEqual(['ok', 'ok'])
})

it('serves a certificate of your own', async () => {
  const origin = own(await originServer())
  const root = await x509Root()
  const { chain, key } = await root.issue({ names: ['127.0.0.1'] })
  const files = folder()
  const [certFile, keyFile] = [join(files, 'cert.pem'), join(files, 'key.pem')]
  writeFileSync(certFile, chain)
  writeFileSync(keyFile, key)
  const cli = own(program([bin, origin.url, '--cert', certFile, '--key', keyFile, '--port', '0']))
  const [, url = ''] = await cli.says(/sluice: (https:\S+) ->/)
  expect(await asked(url, Buffer.from(root.cert))).toEqual(['ok', 'ok'])
  cli.signalGroup('SIGINT')
  expect(await cli.ended).toBe(0)
})

it('exits 1 where it can not keep a certificate', async () => {
  const file = join(folder(), 'file')
  writeFileSync(file, '')
  const cli = own(program([bin, 'http://127.0.0.1:1', '--https'], { XDG_STATE_HOME: file }))
  expect(await cli.ended).toBe(1)
  expect(cli.output).toContain(`can't keep a certificate in ${join(file, 'sluice', 'development')}: ENOTDIR`)
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
  [['http://127.0.0.1:1', '--cert', 'x.pem'], '--cert: takes --key beside it'],
  [['http://127.0.0.1:1', '--key', 'x.pem'], '--key: takes --cert beside it'],
  [['http://127.0.0.1:1', '--https', '--cert', 'x', '--key', 'x'], '--https: got it with --cert'],
  [['http://127.0.0.1:1', '--cert', '/no/cert.pem', '--key', '/no/key.pem'], '--cert: got /no/cert.pem'],
  [['127.0.0.1:1'], 'TARGET: got "127.0.0.1:1", takes a URL with its scheme: \'http://127.0.0.1:1\''],
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
