import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { program } from '../../../test/kit/program.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { probeCommand } from './cli-probe.js'

trapUnhandled()
const own = owner()
const bin = fileURLToPath(new URL('../bin/sluice.js', import.meta.url))

afterEach(() => void vi.restoreAllMocks())

/** What the command says here, and its exit code. */
async function ran(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' }
  const hear = (kind: 'out' | 'err') => (text: unknown) => {
    said[kind] += String(text)
    return true
  }
  vi.spyOn(process.stdout, 'write').mockImplementation(hear('out'))
  vi.spyOn(process.stderr, 'write').mockImplementation(hear('err'))
  const code = await probeCommand(args)
  vi.restoreAllMocks()
  return { code, ...said }
}

async function app(status: (asked: number) => number = () => 200): Promise<string> {
  let asked = 0
  const server = createServer((req, res) => {
    res.statusCode = status(asked++)
    req.resume().on('end', () => res.end('ok'))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  own({
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => void server.close(resolve))
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('sluice probe', () => {
  it('is the first word of the command line', async () => {
    const cli = own(program([bin, 'probe', await app(), '--only', 'host-twice']))
    expect(await cli.ended).toBe(1)
    expect(cli.output).toMatch(/^WRONG +must +host-twice/m)
  })

  it('prints what got through, and ends with 1', async () => {
    const url = await app()
    const { code, out, err } = await ran(url)
    expect(err).toBe('')
    expect(out).toMatch(/^ +level +case +got +right +what was sent +source\n/)
    expect(out).toMatch(
      /^WRONG +must +host-twice +200 +400 +two Host fields that differ +RFC 9112 section 3\.2$/m,
    )
    expect(out).not.toMatch(/^(right|tolerated)/m)
    expect(out).toMatch(/\nsluice probe: http:\S+: \d+ cases, \d+ right, \d+ tolerated, \d+ wrong\n$/)
    expect(code).toBe(1)
  })

  it('ends with 0 where nothing did', async () => {
    const url = await app()
    const { code, out } = await ran(url, '--only', 'length-plus', '--only', 'field-folded')
    expect(out).toBe(`sluice probe: ${url}: 2 cases, 2 right, 0 tolerated, 0 wrong\n`)
    expect(code).toBe(0)
  })

  it('prints every case with --all, and JSON with --json', async () => {
    const url = await app()
    const all = await ran(url, '--all', '--only', 'length-plus', '--only', 'line-two-spaces')
    expect(all.out).toMatch(/^right +must +length-plus/m)
    expect(all.out).toMatch(/^tolerated +should +line-two-spaces/m)
    const { out, code } = await ran(url, '--json', '--only', 'host-twice')
    expect(JSON.parse(out)).toMatchObject({
      target: url,
      results: [{ id: 'host-twice', level: 'must', got: '200', verdict: 'wrong' }],
      wrong: [{ id: 'host-twice' }],
    })
    expect(code).toBe(1)
  })

  it('says how it is used', async () => {
    expect(await ran('--help')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^Usage: sluice probe URL/),
    })
  })

  it.each([
    ['a page that is not for anybody', () => 401, ['a plain GET is answered 401: give the URL of a page']],
    [
      'an app that limits',
      (asked: number) => (asked < 1 ? 200 : 429),
      ['some were answered 429: the app limits'],
    ],
    ['a page that is served', () => 200, []],
  ])('says what a report of %s is worth', async (_, status, lines) => {
    const { err } = await ran(await app(status), '--only', 'host-twice', '--only', 'plain-post')
    expect(err.split('\n').slice(0, -1)).toEqual(
      lines.map((line) => expect.stringContaining(`sluice probe: ${line}`)),
    )
  })

  it('ends with 1 where nobody answers', async () => {
    const { code, err } = await ran('http://127.0.0.1:1')
    expect(err).toMatch(/^sluice probe: connect ECONNREFUSED/)
    expect(code).toBe(1)
  })

  it.each([
    [[], 'no URL: say where your app listens'],
    [['http://127.0.0.1:1', 'http://127.0.0.1:2'], 'one URL at a time: got 2'],
    [['ftp://127.0.0.1'], `URL: got 'ftp://127.0.0.1'`],
    [
      ['http://192.0.2.1/'],
      'URL: 192.0.2.1, which is not this machine; with --i-own-this you say that it is yours',
    ],
    [['http://127.0.0.1:1', '--timeout', 'soon'], `--timeout: got 'soon'`],
    [['http://127.0.0.1:1', '--only', 'nix'], `--only: got 'nix', takes the id of a case`],
    [['http://127.0.0.1:1', '--loud'], `'--loud'`],
  ])('%j is wrong: 2', async (args, message) => {
    const { code, out, err } = await ran(...args)
    expect(err).toContain(message)
    expect(err).toMatch(/Try sluice probe --help\.\n$/)
    expect(out).toBe('')
    expect(code).toBe(2)
  })
})
