import { afterEach, expect, it, vi } from 'vitest'
import { main } from './lib/command.mjs'

afterEach(() => vi.restoreAllMocks())

async function command(...args: string[]) {
  const err = vi.spyOn(console, 'error').mockImplementation(() => {})
  const out = vi.spyOn(console, 'log').mockImplementation(() => {})
  const code = await main(args, new AbortController().signal)
  return { code, err: err.mock.calls.join('\n'), out: out.mock.calls.join('\n') }
}

it.each([
  [['--store', 'disk'], "--store: got 'disk', takes memory, file, redis"],
  [['--against', 'squid'], "--against: got 'squid', takes nginx, varnish, undici, none"],
  [['--docs', '--only', 'vary'], '--docs: takes no choice beside it'],
  [['--nothing'], "Unknown option '--nothing'"],
])('%j ends it with 2 and says what is taken', async (args, message) => {
  const { code, err } = await command(...args)
  expect(code).toBe(2)
  expect(err).toContain(message)
})

it('tells how it is used', async () => {
  const { code, out } = await command('--help')
  expect(code).toBe(0)
  expect(out).toContain('--against')
})
