import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { chance } from './lib/chance.mjs'
import { policies } from './lib/policies.mjs'
import { scenarios } from './lib/scenarios.mjs'
import { simulate } from './lib/simulate.mjs'
import { readLog, readTrace, replaying, writeTrace } from './lib/trace.mjs'
import { UsageError } from './lib/usage-error.mjs'

const file = (name: string) => readFileSync(at(`test/sim/traces/${name}`), 'utf8')
const run = async (scenario: Parameters<typeof simulate>[0]) =>
  (await simulate(scenario, policies['round-robin'])).requests

it('replays what was recorded, in the order of its times', async () => {
  const trace = readTrace('{"at":5,"key":"b","work":3,"method":"POST"}\n\n{"at":1,"key":"a"}\n', 't')
  const requests = await run(replaying(scenarios.steady, trace))
  expect(requests.map(({ at, key, work, method, status }) => [at, key, work, method, status])).toEqual([
    [1, 'a', 1, 'GET', 200],
    [5, 'b', 3, 'POST', 200],
  ])
})

it('a recorded scenario is the same run', async () => {
  const short = { ...scenarios.dies, length: 3_000 }
  const requests = [...scenarios.dies.trace(chance(1))].filter(({ at }) => at < 3_000)
  const again = readTrace(writeTrace(requests), 't')
  expect(again).toEqual(requests)
  expect(await run(replaying(short, again))).toEqual(await run({ ...short, trace: () => requests } as never))
})

it('what is not safe is not tried twice', async () => {
  const trace = ['GET', 'POST'].flatMap((method) =>
    Array.from({ length: 20 }, (_, i) => ({ at: 3_000 + i * 100, key: '', work: 1, method })),
  )
  const requests = await run(replaying(scenarios.hangs, readTrace(writeTrace(trace), 't')))
  expect(requests.every(({ tries }) => tries.length === 1)).toBe(true)
})

it.each([
  ['not JSON', 't:2: got "not JSON", takes a JSON object such as {"at":12.5,"key":"user-7"}'],
  ['{"key":"a"}', 't:2.at: got nothing, takes a number from 0 to 604800000: it is required'],
  ['{"at":-1}', 't:2.at: got -1, takes a number from 0 to 604800000'],
  ['{"at":"1"}', "t:2.at: got '1', takes a number from 0 to 604800000"],
  ['{"at":1,"work":0}', 't:2.work: got 0, takes a number above 0'],
  ['{"at":1,"key":7}', 't:2.key: got 7, takes a text'],
  ['{"at":1,"kee":"a"}', 't:2.kee: unknown option, did you mean key?'],
  ['{"at":1,"method":"get"}', "t:2.method: got 'get', takes a method such as 'GET', in capitals"],
  ['[1]', 't:2: got "[1]", takes a JSON object such as {"at":12.5,"key":"user-7"}'],
])('a wrong line is an error that names line and field: %s', (line, message) => {
  expect(() => readTrace(`{"at":0}\n${line}\n`, 't')).toThrow(new UsageError(message))
})

it('a trace of nothing is an error', () => {
  expect(() => readTrace('\n', 't')).toThrow('t: has no request')
  expect(() => readLog('\n', 't')).toThrow('t: has no request')
})

it('reads access logs, whose requests of one second are spread over it', () => {
  const log = [
    '192.0.2.1 - - [31/Dec/2026:23:59:59 +0000] "GET /a?b=1 HTTP/1.1" 200 512',
    '192.0.2.2 - some one [31/Dec/2026:23:59:59 +0000] "POST /c HTTP/1.1" 201 - "http://x/" "agent [1]"',
    '2001:db8::1 - - [01/Jan/2027:01:00:01 +0100] "GET /d HTTP/2.0" 200 1',
  ].join('\n')
  expect(readLog(log, 't')).toEqual([
    { at: 0, key: '192.0.2.1', work: 1, method: 'GET' },
    { at: 500, key: '192.0.2.2', work: 1, method: 'POST' },
    { at: 2_000, key: '2001:db8::1', work: 1, method: 'GET' },
  ])
  expect(readLog(log, 't', 'path').map(({ key }: { key: string }) => key)).toEqual(['/a', '/c', '/d'])
})

it.each(['nonsense', '192.0.2.1 - - [31/Dez/2026:23:59:59 +0000] "GET / HTTP/1.1" 200 1'])(
  'a line of another log is an error that names it: %s',
  (line) => {
    expect(() => readLog(`\n${line}`, 't')).toThrow(/^t:2: got "/)
  },
)

it('the example is what its log gives', () => {
  const requests = readLog(file('access.log'), 'access.log', 'path')
  expect(writeTrace(requests)).toBe(file('requests.jsonl'))
  expect(readTrace(file('requests.jsonl'), 'requests.jsonl')).toHaveLength(requests.length)
})
