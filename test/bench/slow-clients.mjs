// What 1,000 slow connections of slowhttptest do to everybody else:
//   node test/bench/slow-clients.mjs [--seconds 10] [--rate 200] [--only readers] [--mtu 1500] [--node-flags='']
// A proxy serves 20 kept connections, so many requests a second in all (200), for so many seconds (10), and then while it is attacked until all of
// the attack is cut. Beside it a bare server of `node:http`, which cuts nobody, has the same attack for as long: what that costs is Node's
// own. Servers, load and attacker are processes of their own: who is attacked has a core for itself, and the attacker is nice to the load, so that
// what it takes to attack isn't told as what it does.
// Over the loopback interface the system takes 2 MB for each reader, of what it takes 90 KB over a network: with `--mtu` all of it runs in a network of its own whose
// segments are as long as those of Ethernet. Both servers have a core each and are started as README.md says: V8 has one thread beside it, where Node starts
// four, and a heap that it lets grow.
import { execFile, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cores, pinned, pinSelf } from './lib/cores.mjs'
import { figuresOf } from './lib/latencies.mjs'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    mtu: { type: 'string' },
    rate: { type: 'string', default: '200' },
    'node-flags': { type: 'string', default: '--v8-pool-size=1 --initial-heap-size=256' },
  },
})
if (values.mtu !== undefined) process.exit(inNetworkOfOwn(values.mtu))
const seconds = Number(values.seconds)
const count = 1_000
const rate = Number(values.rate)
const limits = { head: 5_000, slow: { minRate: 240, grace: 5_000, readGrace: 10_000 } }
const reader = ['-X', '-w', '256', '-y', '512', '-n', '1', '-z', '8']
/** Readers of what the system's buffers hold, which hides nothing that we do for them, and of what is more than they hold. */
const attacks = [
  { name: 'slow heads (-H)', args: ['-H', '-i', '1', '-x', '8'], path: '/' },
  { name: 'slow bodies (-B)', args: ['-B', '-i', '1', '-x', '8', '-s', '8192'], path: '/' },
  { name: 'slow readers (-X), 512 KB', args: reader, path: '/large/8' },
  { name: 'slow readers (-X), 512 KB in chunks', args: reader, path: '/chunks/8' },
  { name: 'slow readers (-X), 1.25 MB', args: reader, path: '/large/20' },
  { name: 'slow readers (-X), 32 MB', args: reader, path: '/large' },
]

const { proxy: own, rest, note } = cores()
pinSelf(rest)
if (note !== undefined) console.log(note)

/** Runs this file where the loopback interface has such segments. @returns its exit code */
function inNetworkOfOwn(mtu) {
  const args = process.argv
    .slice(2)
    .filter((arg, i, all) => !arg.startsWith('--mtu') && all[i - 1] !== '--mtu')
  const command = 'ip link set lo mtu "$1" up && shift && exec "$@"'
  const own = ['sh', '-c', command, 'sh', mtu, process.execPath, fileURLToPath(import.meta.url), ...args]
  const { error, status } = spawnSync('unshare', ['--map-root-user', '--net', ...own], { stdio: 'inherit' })
  if (error !== undefined) console.error(`no network of its own: ${error.message}`)
  return status ?? 1
}

/** Starts a server of test/chaos on these cores; who is attacked has the flags. */
async function start(list, file, ...args) {
  const flags = list === own ? values['node-flags'].split(' ').filter((flag) => flag !== '') : []
  const [execPath, execArgv] = pinned(list, process.execPath, flags)
  const child = fork(fileURLToPath(new URL(`../chaos/${file}`, import.meta.url)), args, {
    execPath,
    execArgv,
  })
  process.on('exit', () => child.kill('SIGKILL'))
  const [{ port }] = await once(child, 'message')
  return { child, port, agent: new Agent({ keepAlive: true, maxSockets: 20 }) }
}

async function stats({ child }) {
  child.send('stats')
  const [message] = await once(child, 'message')
  return message.stats
}

function ask({ agent, port }) {
  const began = performance.now()
  return new Promise((resolve) => {
    const failed = () => resolve(undefined)
    get({ port, host: '127.0.0.1', agent, timeout: 10_000 }, (res) => {
      res.resume().on('end', () => resolve(res.statusCode === 200 ? performance.now() - began : undefined))
      res.on('error', failed)
    }).on('error', failed)
  })
}

/** Asks at an even pace, whatever the answers do, until `isOver`. */
async function load(server, isOver) {
  const began = performance.now()
  const asked = []
  while (!isOver()) {
    asked.push(ask(server))
    await delay(Math.max(0, began + (asked.length * 1_000) / rate - performance.now()))
  }
  const latencies = await Promise.all(asked)
  const errors = latencies.filter((each) => each === undefined).length
  return figuresOf(
    latencies.filter((each) => each !== undefined),
    performance.now() - began,
    errors,
  )
}

function calm(server, ms = seconds * 1_000) {
  const end = performance.now() + ms
  return load(server, () => performance.now() > end)
}

function attack(args, path, { port }) {
  const all = [...args, '-u', `http://127.0.0.1:${port}${path}`, '-c', `${count}`]
  all.push('-r', '200', '-l', '240', '-p', '60', '-v', '0')
  return execFile('nice', ['-n', '19', 'slowhttptest', ...all], { maxBuffer: 64 * 1024 ** 2 }, (error) => {
    if (error?.code === 'ENOENT') console.error('slowhttptest is not installed')
  })
}

/** Until all of them are cut, or half a minute is over: who has got all of a short answer into its buffers isn't cut, and slowhttptest itself doesn't see each end. */
async function attacked(args, path, cutBefore) {
  const attacker = attack(args, path, proxy)
  const latest = performance.now() + 30_000
  let over = false
  const watch = async () => {
    while (cutIn(await stats(proxy)) - cutBefore < count && performance.now() < latest) await delay(500)
    over = true
  }
  const [figures] = await Promise.all([load(proxy, () => over), watch()])
  attacker.kill('SIGKILL')
  return figures
}

/** What the same does to a server without anything of ours. @returns its p99 at rest, and attacked */
async function bareFigures(args, path, ms) {
  const bare = await start(own, 'slow-clients-origin.mjs')
  await calm(bare, 2_000)
  const idle = await calm(bare)
  const attacker = attack(args, path, bare)
  const under = await calm(bare, ms)
  attacker.kill('SIGKILL')
  bare.agent.destroy()
  bare.child.kill('SIGKILL')
  return { idle: idle.p99, under: under.p99 }
}

const reasons = ['request-timeout', 'body-too-slow', 'reader-too-slow']

function cutIn({ refused }) {
  return reasons.reduce((sum, reason) => sum + (refused[reason] ?? 0), 0)
}

const origin = await start(rest, 'slow-clients-origin.mjs')
const proxy = await start(own, 'slow-clients-process.mjs', JSON.stringify(limits), String(origin.port))
await calm(proxy)
const rows = []
let before = 0
for (const { name, args, path } of attacks) {
  if (!name.includes(values.only)) continue
  const idle = await calm(proxy)
  const began = performance.now()
  const under = await attacked(args, path, before)
  const took = performance.now() - began
  const now = await stats(proxy)
  const bare = await bareFigures(args, path, took)
  rows.push({
    attack: name,
    cut: `${cutIn(now) - before} of ${count}`,
    'longest s': (now.longest / 1_000).toFixed(1),
    'p99 idle ms': idle.p99.toFixed(2),
    'p99 ms': under.p99.toFixed(2),
    ratio: (under.p99 / idle.p99).toFixed(2),
    'bare idle ms': bare.idle.toFixed(2),
    'bare ms': bare.under.toFixed(2),
    'bare ratio': (bare.under / bare.idle).toFixed(2),
    errors: under.errors,
    'RSS MB': Math.round(now.rss / 1024 ** 2),
  })
  before = cutIn(now)
}
console.table(rows)
proxy.agent.destroy()
process.exit()
