import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { main } from './lib/command.mjs'

const folder = mkdtempSync(join(tmpdir(), 'sim-'))
afterAll(() => rmSync(folder, { recursive: true }))
const trace = join(folder, 'trace.jsonl')
writeFileSync(trace, '{"at":1,"key":"a"}\n{"at":5,"key":"b"}\n')

async function command(...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await main(
    args,
    (text: string) => void out.push(text),
    (text: string) => void err.push(text),
  )
  return { code, out: out.join('\n'), err: err.join('\n') }
}

it('prints a table for each scenario, with a row for each policy under each setting', async () => {
  const { code, out, err } = await command(
    ...['--trace', trace, '--scenario', 'steady,slow', '--policy', 'ring,random'],
    ...['--setting', 'none,ejection+breaker', '--options', '{"ejection":{"consecutive":3}}'],
  )
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toContain('steady: ten servers alike')
  expect(out.match(/^\| `ring` \| ejection\+breaker \|/gm)).toHaveLength(2)
  expect(out.match(/^\| `/gm)).toHaveLength(8)
})

it('takes a policy of one’s own', async () => {
  const mine = join(folder, 'mine.mjs')
  writeFileSync(
    mine,
    'export const byKey = true\nexport default () => (available, ctx, not) => available.find((each) => !not?.(each))',
  )
  const { code, out } = await command('--trace', trace, '--scenario', 'steady', '--policy', mine)
  expect(code).toBe(0)
  // All to the first of ten: the standard deviation is three times the mean.
  expect(out).toContain('| 300.0 % |')
  const around = join(folder, 'around.jsonl')
  writeFileSync(around, '{"at":1,"key":"a"}\n{"at":5001,"key":"a"}\n')
  const moved = await command('--trace', around, '--scenario', 'leaves', '--policy', mine)
  expect(moved.out).toMatch(/moved keys.*\n.*\n.*\| 0 \|/)
})

it('records what it can replay', async () => {
  const made = join(folder, 'made.jsonl')
  const log = at('test/sim/traces/access.log')
  expect(await command('--log', log, '--record', made)).toMatchObject({
    code: 0,
    out: `${made}: 56 requests`,
  })
  expect(await command('--trace', made, '--scenario', 'steady', '--policy', 'ring')).toMatchObject({
    code: 0,
  })
  expect(await command('--scenario', 'hot', '--record', made)).toMatchObject({ code: 0 })
})

it('--help says what is taken', async () => {
  const { code, out } = await command('--help')
  expect(code).toBe(0)
  for (const each of ['--scenario', 'peak-ewma', 'ejection', 'overload', '--record', '--docs'])
    expect(out).toContain(each)
})

it.each([
  [['--bogus'], '--bogus'],
  [['stray'], 'stray'],
  [['--seed'], '--seed'],
  [['--scenario', 'nope'], "--scenario: got 'nope', takes steady, "],
  [['--scenario', ','], "--scenario: got ',', takes names with commas between"],
  [['--policy', 'toString'], "--policy: got 'toString', takes round-robin, "],
  [['--policy', './nope.mjs'], '--policy: there is no file '],
  [['--setting', 'ejection+nope'], "--setting: got 'nope', takes none, probes, "],
  [['--options', '{'], '--options: got {, takes a JSON object of probes, '],
  [['--options', '{"nope":{}}'], "--options: got 'nope', takes a JSON object of "],
  [['--options', '{"retry":1}'], '--options.retry: got 1, takes an object of its options'],
  [['--options', '{"breaker":{}}'], '--options: got breaker, takes options of the --setting and of retry, '],
  [['--options', '{"upstream":{"panic":2}}'], '--options: upstream.panic: got 2, takes a number from 0 to 1'],
  [
    ['--options', '{"balance":{"overflow":0}}'],
    '--options: balance.overflow: got 0, takes a number from 1 to 100',
  ],
  [['--options', '{"retry":{"attempts":0}}'], '--options: retry.attempts: got 0, takes a whole number'],
  [
    ['--setting', 'ejection', '--options', '{"ejection":{"consecutiv":3}}'],
    '--options: ejection.consecutiv: unknown option, did you mean consecutive?',
  ],
  [
    ['--setting', 'hedge', '--options', '{"hedge":{"quantile":1}}'],
    '--options: hedge.quantile: got 1, takes a number from 0.01 to 0.999',
  ],
  [
    ['--setting', 'hedge', '--options', '{"hedge":{"budget":{"share":2}}}'],
    '--options: hedge.budget.share: got 2, takes a number from 0 to 1',
  ],
  [['--options', '{"retry":{"budget":{"shar":1}}}'], '--options: retry.budget.shar: unknown option'],
  [['--options', '{"servers":{"hears":1}}'], '--options: servers.hears: got 1, takes true or false'],
  [['--seed', 'x'], "--seed: got 'x', takes a whole number of at most nine digits"],
  [['--trace', 'nope.jsonl'], '--trace: ENOENT'],
  [['--trace', trace, '--log', trace], '--trace and --log: takes one of them'],
  [['--key', 'path'], '--key: takes a --log'],
  [['--log', trace, '--key', 'nope'], "--key: got 'nope', takes client or path"],
  [['--record', trace], '--record: takes one --scenario, or a --log'],
  [['--docs', '--seed', '2'], '--docs: takes no other option beside it'],
])('wrong options are told of, and end it with 2: %j', async (args, message) => {
  const { code, out, err } = await command(...args)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toContain(message)
  expect(err).toContain('--help')
})

it('a wrong line of a trace names its file, its line and its field', async () => {
  const wrong = join(folder, 'wrong.jsonl')
  writeFileSync(wrong, '{"at":1}\n{"at":2,"work":"x"}\n')
  const { code, err } = await command('--trace', wrong)
  expect(code).toBe(2)
  expect(err).toContain(`${wrong}:2.work: got 'x', takes a number above 0`)
})

it('the exit code is the process’s', async () => {
  const code = await new Promise((resolve) => {
    execFile(process.execPath, [at('test/sim/run.mjs'), '--bogus'], (error) => resolve(error?.code))
  })
  expect(code).toBe(2)
})
