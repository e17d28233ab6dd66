import { parse } from '@sluice/options'
import { corpus } from './corpus.js'
import { type Endpoint, exchange } from './exchange.js'
import { locate } from './locate.js'
import type { ProbeCase, ProbeLevel, ProbeVerdict, Seen } from './probe-case.js'
import { type ProbeOptions, probeOptions } from './probe-options.js'

/** What came of one case. */
export interface ProbeResult {
  readonly id: string
  /** What was sent, in words. */
  readonly says: string
  /** The section of the RFC that says what is right. */
  readonly source: string
  readonly level: ProbeLevel
  /** What would have been right. */
  readonly right: string
  /** What happened: statuses of the answers in order, and what the connection did. */
  readonly got: string
  readonly verdict: ProbeVerdict
}

/** What came of a probe. */
export interface ProbeReport {
  readonly target: string
  /** What a plain GET was answered, before all cases: where that is no success, good requests will seem to be wrong. */
  readonly plain: string
  /** One a case, in the order of the corpus. */
  readonly results: readonly ProbeResult[]
  /** Those that got through, and good requests that didn't. */
  readonly wrong: readonly ProbeResult[]
}

/**
 * Sends malformed and ambiguous requests to a server over raw connections, and good ones to see that those are still
 * taken, and tells what it did with each. Bounded: `connections` at a time, `timeout` a step, three steps a case at most.
 * @param target where the server is: `http:` or `https:` URL; its path is the one that is asked for
 * @throws TypeError a target that is no such URL, or not this machine, unless `ownThis`; options that are wrong
 * @throws Error when nothing listens there, or a plain GET gets no answer
 */
export async function probe(target: string, options: ProbeOptions = {}): Promise<ProbeReport> {
  const { ownThis, timeout, connections, only } = parse(probeOptions, options, 'probe')
  const cases = only === undefined ? corpus : corpus.filter(({ id }) => only.includes(id))
  const { endpoints, ...where } = await locate(target, ownThis)
  const run = async (to: Endpoint, one: ProbeCase): Promise<ProbeResult> => {
    const { id, says, source, level, right, send, judge } = one
    const seen = await exchange(to, send(where), timeout)
    return { id, says, source, level, right, got: told(seen), verdict: judge(seen) }
  }
  // Without this, a server that is down would pass most of the cases.
  const [plain, to] = await firstOf(endpoints, (each) => run(each, plainGet))
  if (!/^\d/.test(plain.got)) throw new Error(`${target} does not answer a plain GET: ${plain.got}`)
  const results = await inParallel(cases, connections, (one) => run(to, one))
  return { target, plain: plain.got, results, wrong: results.filter(({ verdict }) => verdict === 'wrong') }
}

const plainGet = corpus.find(({ id }) => id === 'plain-get') as ProbeCase

/** A name may have an address of each family, and its server listen at one of them. */
async function firstOf<Out>(
  endpoints: readonly Endpoint[],
  ask: (to: Endpoint) => Promise<Out>,
): Promise<[Out, Endpoint]> {
  let failure: unknown
  for (const to of endpoints) {
    try {
      return [await ask(to), to]
    } catch (error) {
      failure ??= error
    }
  }
  throw failure
}

async function inParallel<In, Out>(
  list: readonly In[],
  many: number,
  run: (one: In) => Promise<Out>,
): Promise<Out[]> {
  const done: Out[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < list.length) {
      const index = next++
      done[index] = await run(list[index] as In)
    }
  }
  await Promise.all(Array.from({ length: Math.min(many, list.length) }, worker))
  return done
}

/** Only numbers and words of ours: what a server sends is not shown. */
function told(seen: readonly Seen[]): string {
  const statuses = seen.flatMap(({ interim, answers }) => [
    ...interim,
    ...answers.map(({ status }) => status),
  ])
  const end = seen.at(-1)?.end ?? 'closed'
  if (statuses.length === 0) return end === 'closed' ? 'closed' : 'no answer'
  return end === 'open'
    ? statuses.join(', ')
    : `${statuses.join(', ')}, ${end === 'closed' ? 'closed' : 'then nothing'}`
}
