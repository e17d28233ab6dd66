// A process of the tests: keeps certificates by the options that it is given, and says what happens in lines of JSON.
import { subscribe } from 'node:diagnostics_channel'
import { acme } from '@sluice/acme'

const { seams, dns, ...options } = JSON.parse(process.argv[2])
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)
subscribe('sluice:acme', say)

/** Who writes records is the test. */
function records({ at, ...rest }) {
  const call = (what) => async (name, value) => {
    await fetch(`${at}/${what}`, { method: 'POST', body: JSON.stringify({ name, value }) })
  }
  return { ...rest, set: call('set'), remove: call('remove') }
}

const own = dns === undefined ? {} : { dns: records(dns) }
const one = acme({ ...options, ...own, agreeToTerms: true }, '', seams)
// Timers hold no process open.
setInterval(() => {}, 1_000)
await one.start()
const [name] = options.domains.flat()
say({ kind: 'started', pairs: (await one.get(name)) ?? [] })
