import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, closure } from '../../scripts/lib/workspace.mjs'

const exec = promisify(execFile)
const app = mkdtempSync(join(realpathSync(tmpdir()), 'sluice-cjs-'))
const modules = join(app, 'node_modules')
const own = closure('@sluice/http-proxy')

/** Puts our packages there as npm would: what is packed of each, and beside it what of others it depends on. */
async function install(): Promise<void> {
  const folders = own.map(({ dir }) => at(dir))
  const { stdout } = await exec('npm', ['pack', '--json', ...folders], { cwd: app })
  const packed = JSON.parse(stdout) as { filename: string }[]
  for (const [index, { name, dir, manifest }] of own.entries()) {
    const folder = join(modules, name)
    mkdirSync(folder, { recursive: true })
    await exec('tar', [
      '-xzf',
      join(app, packed[index]?.filename ?? ''),
      '-C',
      folder,
      '--strip-components=1',
    ])
    for (const other of Object.keys(manifest.dependencies ?? {})) {
      if (own.some((each) => each.name === other)) continue
      const link = join(folder, 'node_modules', other)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(realpathSync(at(dir, 'node_modules', other)), link)
    }
  }
}

/** Runs a file of the app. Nothing is to be warned of. */
async function run(file: string, code: string): Promise<string> {
  writeFileSync(join(app, file), code)
  const { stdout, stderr } = await exec(process.execPath, [file], { cwd: app, timeout: 10_000 })
  expect(stderr).toBe('')
  return stdout
}

beforeAll(install, 60_000)
afterAll(() => rmSync(app, { recursive: true, force: true }))

describe('require of @sluice/http-proxy, as it is packed', () => {
  it('gives what require of http-proxy gives: the class, with the functions on it', async () => {
    const code = `
      const { createServer, get } = require('node:http')
      const httpProxy = require('@sluice/http-proxy')
      const { createProxyServer, ProxyServer, httpProxyTransport, numOpenSockets } = httpProxy
      class Own extends httpProxy {}
      const target = createServer((req, res) => res.end('saw ' + req.url)).listen(0, '127.0.0.1', () => {
        const options = { target: 'http://127.0.0.1:' + target.address().port }
        const made = [
          () => new httpProxy(options),
          () => new httpProxy.Server(options),
          () => new httpProxy.ProxyServer(options),
          () => new Own(options),
          () => httpProxy.createProxyServer(options),
          () => httpProxy.createServer(options),
          () => httpProxy.createProxy(options),
          () => createProxyServer(options),
        ].map((make) => make())
        for (const each of made) if (!(each instanceof httpProxy)) throw new Error('another class')
        if (ProxyServer !== httpProxy || httpProxy.default !== httpProxy) throw new Error('another class')
        console.log(httpProxyTransport().name, numOpenSockets())
        const server = createServer((req, res) => made[Number(req.url.slice(1))].web(req, res))
        server.listen(0, '127.0.0.1', async () => {
          for (const index of made.keys()) {
            const answer = await fetch('http://127.0.0.1:' + server.address().port + '/' + index)
            console.log(await answer.text())
          }
          server.close().closeAllConnections()
          for (const each of made) each.close()
          target.close().closeAllConnections()
        })
      })`
    const lines = (await run('app.cjs', code)).trimEnd().split('\n')
    expect(lines).toEqual(['http-proxy 0', ...Array.from({ length: 8 }, (_, index) => `saw /${index}`)])
  })

  it('gives the class that import gives', async () => {
    const code = `
      import { createRequire } from 'node:module'
      import httpProxy, * as names from '@sluice/http-proxy'
      const required = createRequire(import.meta.url)('@sluice/http-proxy')
      console.log(required === httpProxy, required.numOpenSockets === names.numOpenSockets, Object.keys(names).join())`
    expect(await run('app.mjs', code)).toBe(
      'true true ProxyServer,createProxy,createProxyServer,createServer,default,httpProxyTransport,numOpenSockets\n',
    )
  })

  it.each(['node16', 'nodenext'])('has the types of both, with module %s', async (module) => {
    const code = `
      import httpProxy = require('@sluice/http-proxy')
      import byDefault, { createProxyServer, type OutgoingRequest, type ProxyServerEvents } from '@sluice/http-proxy'
      const options: httpProxy.ServerOptions = { target: 'http://127.0.0.1:1' }
      const proxies: httpProxy[] = [
        new httpProxy(options),
        new byDefault(options),
        createProxyServer(options),
        httpProxy.createServer(options),
      ]
      proxies[0]?.on('proxyReq', (proxyReq: OutgoingRequest, req) => void proxyReq.setHeader('x', req.url ?? ''))
      export const told: (...args: ProxyServerEvents['open']) => void = (socket) => void socket.destroy()
      // @ts-expect-error: a target is a URL or its parts
      new httpProxy({ target: 3000 })`
    writeFileSync(join(app, 'app.cts'), code)
    const types = `--typeRoots ${at('node_modules/@types')} --types node`.split(' ')
    const args = [at('node_modules/typescript/bin/tsc'), '--ignoreConfig', '--noEmit', '--strict', ...types]
    const options = ['--module', module, '--esModuleInterop', 'app.cts']
    const end = exec(process.execPath, [...args, ...options], { cwd: app }).catch((error: object) => error)
    expect(await end).toMatchObject({ stdout: '' })
  })
})
