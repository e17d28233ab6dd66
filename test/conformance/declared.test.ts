import { describe, expect, it } from 'vitest'
import { fronts } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

/** An origin that says of itself what `said` holds. */
async function saying(name: string) {
  const said: { word: string | undefined } = { word: undefined }
  const origin = own(
    await originServer((_req, res) => {
      if (said.word !== undefined) res.setHeader('X-Health', said.word)
      res.end(name)
    }),
  )
  return { origin, said, url: origin.url }
}

describe.each(fronts)('targets that say how they are, through $name', (kind) => {
  it('are believed, and the client hears nothing of it', async () => {
    const a = await saying('a')
    const b = await saying('b')
    const front = own(await kind.start({ targets: [a.url, b.url], declared: true }))
    const { upstream } = front
    const states = (): string[] =>
      upstream.all.map(({ state, degraded }) => `${state}${degraded ? ' -' : ''}`)
    const ask = async (times: number): Promise<Set<string>> => {
      const seen = new Set<string>()
      for (let i = 0; i < times; i++) {
        const answer = await front.client.ask()
        expect(answer).toMatchObject({ status: 200, complete: true })
        expect(value(answer.headers, 'x-health')).toBeUndefined()
        seen.add(answer.text)
      }
      return seen
    }
    a.said.word = 'degraded'
    await ask(2)
    expect(states()).toEqual(['unknown -', 'unknown'])
    expect([...(await ask(4))]).toEqual(['b'])

    b.said.word = 'draining'
    await ask(1)
    expect(states()).toEqual(['unknown -', 'draining'])
    expect([...(await ask(4))]).toEqual(['a'])

    a.said.word = 'ok'
    await ask(1)
    expect(states()).toEqual(['unknown', 'draining'])

    // The last one that is fit is not drained, whatever it says.
    a.said.word = 'Draining;since=now'
    await ask(3)
    expect(states()).toEqual(['unknown -', 'draining'])

    upstream.drain(b.url)
    a.said.word = 'nonsense'
    await ask(1)
    expect(states()).toEqual(['unknown -', 'draining'])
  })
})

it('a field of that name passes where nobody is to be believed', async () => {
  const a = await saying('a')
  a.said.word = 'draining'
  const [kind] = fronts
  if (kind === undefined) throw new Error('there is no front')
  const front = own(await kind.start({ targets: a.url }))
  expect(value((await front.client.ask()).headers, 'x-health')).toBe('draining')
  expect(front.upstream.all[0]?.state).toBe('unknown')
})
