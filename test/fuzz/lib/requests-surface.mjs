import { Chance } from './chance.mjs'
import { cutsOf, FuzzClient, inTime, ordinary } from './fuzz-client.mjs'
import { fill, marksIn } from './mark.mjs'
import { Mutator, most, start } from './mutator.mjs'
import { numberedProxy } from './numbered-proxy.mjs'
import { requests } from './request-corpus.mjs'
import { readResponses } from './strict-responses.mjs'
import { watchedTarget } from './watched-target.mjs'

/** Mutated requests over connections of their own, to the assembled proxy in front of a strict target. */
export async function requestsSurface({ seed, variant = 0, front = numberedProxy }) {
  const bytes = Buffer.alloc(start + most)
  const chance = new Chance()
  const mutator = new Mutator(bytes, chance, requests)
  const faults = []
  const target = await watchedTarget(faults)
  const { proxy, asked } = front([target.url], {}, variant)
  const { port } = await proxy.listen()

  async function run(index, input) {
    chance.begin(seed, index)
    mutator.make()
    const given = fill(Buffer.from(input ?? bytes.subarray(start, mutator.end)), index)
    const client = await FuzzClient.open(index, port)
    client.given = given
    await client.write(given, cutsOf(chance, given.length))
    if (chance.below(16) === 0) client.reset()
    return client
  }

  return {
    /** What came of some runs side by side: what is wrong, and how many requests the proxy took. */
    async batch(indices, input) {
      const clients = await Promise.all(indices.map((index) => run(index, input)))
      // When requests that were sent later have been answered, these have got as far as they get.
      for (let i = 0; i < 2; i++) {
        const wrong = await ordinary(port, '/ordinary', ' 0 ordinary')
        if (wrong !== undefined) return failure(wrong, clients)
      }
      for (const client of clients) client.end()
      for (const client of clients) {
        const came = await inTime(client.closed)
        client.socket.destroy()
        if (!came) return failure('the connection is left open', [client])
      }
      const taken = asked.size - 2
      const wrong = (await target.leftOvers()) ?? faults[0]
      if (wrong !== undefined) return failure(wrong, clients)
      const answered = { 2: 0, 4: 0, 5: 0 }
      for (const client of clients) {
        const fault = answersFault(client, asked, answered)
        if (fault !== undefined) return failure(fault, [client])
      }
      asked.clear()
      target.forget()
      return { taken, answered }
    },
    async close() {
      await proxy.close({ drain: 0 })
      await target.close()
    },
  }
}

function answersFault({ index, given, received, port }, asked, answered) {
  const foreign = [...marksIn(received)].find((mark) => mark !== index)
  if (foreign !== undefined) return `an answer of run ${foreign}`
  const how = {
    ended: true,
    heads: /HEAD /i.test(given.toString('latin1')),
    connect: given.includes('CONNECT '),
  }
  const { responses, rest, fault } = readResponses(received, how)
  if (fault !== undefined) return `the client got what it can't read in one way: ${fault}`
  // A request that turns out to be malformed while an earlier one is answered ends all.
  if (rest > 0 && responses.length === 0 && !received.toString('latin1').startsWith('HTTP/1.1 '))
    return 'the client got no response'
  let before = 0
  for (const { status, fields } of responses) {
    const digit = Math.floor(status / 100)
    if (digit in answered) answered[digit]++
    if (status === 500) return 'a 500'
    const at = fields.indexOf('x-number')
    if (at === -1) continue
    const number = Number(fields[at + 1])
    if (asked.get(number) !== port) return `the answer to another client's request ${number}`
    if (number <= before) return 'answers that are out of order'
    before = number
  }
  return undefined
}

function failure(wrong, clients) {
  const inputs = clients.map(({ index, given }) => ({ index, input: given.toString('base64') }))
  return { failure: { wrong, inputs } }
}
