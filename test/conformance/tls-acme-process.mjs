// A proxy of the tests, in a process of its own: orders its certificates by the options that it is given, and says what happens in lines of JSON.
import { subscribe } from 'node:diagnostics_channel'
import { createClient } from '@redis/client'
import { redisStorage } from '@sluice/redis'
import { createProxy } from 'sluice'

const { redis, storage, target, ...options } = JSON.parse(process.argv[2])
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)
subscribe('sluice:acme', say)

async function shared() {
  const client = createClient({ socket: { path: redis, tls: false } })
  client.on('error', () => {})
  await client.connect()
  return redisStorage(client)
}

const proxy = createProxy({
  upstreams: { default: target },
  tls: {
    acme: { ...options, agreeToTerms: true, storage: redis === undefined ? storage : await shared() },
    redirect: 0,
  },
})
await proxy.listen()
const [secure, plain] = proxy.addresses
say({ kind: 'listens', secure: secure.port, plain: plain.port })
