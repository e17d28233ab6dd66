import { createRequire } from 'node:module'
import type { AST } from '@eslint-community/regexpp'
import { type Automaton, automaton, Unjudged } from './regexp-automaton.js'

/** How much text an expression may be given: what it costs was judged for that. A longer one is for the caller to refuse. */
export const longestMatched = 4_096

/** In how many ways besides repetitions a text may be taken, where repetitions cost the square of its length. */
const mostWays = 8
/** Judging may take so many steps, a fraction of a second. Configurations are read at a start, but also while requests wait. */
const mostSteps = 1_000_000

/**
 * What is wrong with an expression that can cost much more than some tens of milliseconds on a text of {@link longestMatched}: which
 * part, and what to write instead. Nothing if it can't.
 *
 * An engine that backtracks goes every way through the expression that a text allows, each until it fails. So what it costs is
 * the number of ways, which an automaton tells (Weber and Seidl, On the degree of ambiguity of finite automata, 1991; for
 * engines Weideman et al., Analyzing matching time behavior of backtracking regular expression matchers, 2016):
 * - exponential, if a repetition comes back to where it was in two ways by one text;
 * - a factor of the text's length more for each repetition that takes a text which the one before it takes too, and which
 *   leads from that one to it; the search for a beginning is such a repetition, unless there is a `^`;
 * - times the ways that have nothing to do with repetitions, `a?a?a?`.
 *
 * Errs on the side of refusing.
 */
export function backtracking(expression: RegExp): string | undefined {
  const { source, flags } = expression
  try {
    if (flags.includes('v'))
      throw new Unjudged("with the flag v it can't be judged. Write it with the flag u")
    return new Judge(automaton(parsed(source, flags), flags)).fault()
  } catch (error) {
    if (error instanceof Unjudged) return error.message
    throw error
  }
}

type Parser = InstanceType<typeof import('@eslint-community/regexpp').RegExpParser>
let loaded: Parser | undefined

function parsed(source: string, flags: string): AST.Pattern {
  // Where that can't be loaded, for want of a file to open say, the expression isn't to blame.
  const known = parser()
  try {
    return known.parsePattern(source, 0, source.length, flags.includes('u'))
  } catch {
    // An engine may know what came later.
    throw new Unjudged(`the syntax of ${source} is too new to be judged. Write it in an older one`)
  }
}

/** Few configurations have an expression; the others don't pay for a parser. */
function parser(): Parser {
  if (loaded === undefined) {
    const { RegExpParser } = createRequire(import.meta.url)(
      '@eslint-community/regexpp',
    ) as typeof import('@eslint-community/regexpp')
    loaded = new RegExpParser()
  }
  return loaded
}

/** Several states at once, and the places from which a step leads there. */
interface Place {
  readonly states: readonly number[]
  readonly from: string[]
}

class Judge {
  /** Without the states that are sure: one way leads through them, and it is the last. */
  private readonly next: readonly ReadonlyMap<number, number>[]
  /** By state those that can be reached from it, in a step or more. */
  private readonly reach: readonly ReadonlySet<number>[]
  /** States that lead back to themselves, those that lead to each other together. */
  private readonly loops: readonly (readonly number[])[]
  private readonly loopOf = new Map<number, readonly number[]>()
  private steps = 0

  constructor(private readonly of: Automaton) {
    this.next = withoutSure(of)
    this.reach = this.next.map((_, from) => this.reachable(from))
    const loops: number[][] = []
    for (let state = 0; state < this.next.length; state++) {
      if (!this.leads(state, state) || this.loopOf.has(state)) continue
      const loop = [...(this.reach[state] as ReadonlySet<number>)].filter((other) => this.leads(other, state))
      for (const each of loop) this.loopOf.set(each, loop)
      loops.push(loop)
    }
    this.loops = loops
  }

  fault(): string | undefined {
    const doubled = this.loops.find((loop) => this.isDoubled(loop))
    if (doubled !== undefined) {
      return `${this.written(doubled, 'outer')} takes one text in several ways, twice as many with each turn. Begin or end each turn with a character that nothing else in it takes, as in (?:[a-z]+\\.)+`
    }
    const chain = this.loops.map((loop) => this.chain(loop)).reduce(longer, [])
    if (chain.length > 2) {
      const names = chain.filter((loop) => loop[0] !== 0).map((loop) => this.written(loop, 'inner'))
      const search = chain[0]?.[0] === 0 ? ', tried at every place,' : ''
      return `${names.join(', then ')}${search} can share out one text in so many ways that the work grows with power ${chain.length} of its length. Begin with ^, and repeat only what the next part doesn't begin with, as in ^/([^/]+)/(.*)$`
    }
    const ways = this.ways(0)
    if (ways > (chain.length === 2 ? mostWays : mostWays * 64))
      return `${this.of.source} takes one text in up to ${ways} ways, since parts that may be left out, or alternatives, begin alike. Let them begin with different characters`
    return undefined
  }

  private written(loop: readonly number[], which: 'outer' | 'inner'): string {
    const around = loop.map((state) => this.of.loops[state] ?? []).find((each) => each.length > 0) ?? []
    return (which === 'outer' ? around[0] : around.at(-1)) ?? ''
  }

  private leads(from: number, to: number): boolean {
    return this.reach[from]?.has(to) === true
  }

  private reachable(from: number): Set<number> {
    const seen = new Set<number>()
    const todo = [from]
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      for (const to of (this.next[at] as ReadonlyMap<number, number>).keys()) {
        if (seen.has(to)) continue
        seen.add(to)
        todo.push(to)
      }
    }
    return seen
  }

  /** Whether some text leads from a state of a loop back to it in two ways. */
  private isDoubled(loop: readonly number[]): boolean {
    if (loop[0] === 0) return false
    const within = new Set(loop)
    const several = loop.some((from) => [...this.edges(from, within)].some(([, ways]) => ways > 1))
    if (several) return true
    const start = [loop[0] as number, loop[0] as number]
    // Two at once, over the same characters: apart from each other, and together again.
    const pairs = this.together(start, [within, within])
    const back = new Set([start.join()])
    for (const key of back) for (const from of pairs.get(key)?.from ?? []) back.add(from)
    return [...back].some((key) => {
      const [a, b] = pairs.get(key)?.states ?? start
      return a !== b
    })
  }

  /** The longest row of loops from this one on, each of which takes a text that leads to it from the one before. */
  private chain(loop: readonly number[]): (readonly number[])[] {
    const known = this.chains.get(loop)
    if (known !== undefined) return known
    let best: (readonly number[])[] = [loop]
    for (const other of this.loops) {
      if (other === loop || !this.leads(loop[0] as number, other[0] as number)) continue
      const rest = this.chain(other)
      // The row may begin behind this loop; then the loop itself is none of it.
      best = longer(best, this.isShared(loop, other) ? [loop, ...rest] : rest)
    }
    this.chains.set(loop, best)
    return best
  }
  private readonly chains = new Map<readonly number[], (readonly number[])[]>()

  /** Whether one text leads from a state of the first loop back to it, from there to one of the second, and from that back to it. */
  private isShared(first: readonly number[], second: readonly number[]): boolean {
    const between = new Set([...this.next.keys()].filter((state) => this.leads(state, second[0] as number)))
    const within = [new Set(first), between, new Set(second)]
    return first.some((p) =>
      second.some((q) => this.together([p, p, q], within, [p, q, q].join()).has([p, q, q].join())),
    )
  }

  /**
   * Where one gets from several states at once, each step by a character that all of them take, and from where to there.
   * @param within the states that each may go to
   * @param goal ends the search
   */
  private together(
    start: readonly number[],
    within: readonly ReadonlySet<number>[],
    goal?: string,
  ): ReadonlyMap<string, Place> {
    const seen = new Map<string, Place>()
    const todo = [start]
    for (let at = todo.pop(); at !== undefined && !seen.has(goal ?? ''); at = todo.pop()) {
      const from = at.join()
      for (const states of this.stepsOf(at, within)) {
        const key = states.join()
        const known = seen.get(key)
        if (known !== undefined) known.from.push(from)
        else {
          seen.set(key, { states, from: [from] })
          todo.push(states)
        }
      }
    }
    return seen
  }

  private stepsOf(at: readonly number[], within: readonly ReadonlySet<number>[]): number[][] {
    let steps: { states: number[]; takes: bigint }[] = [{ states: [], takes: -1n }]
    at.forEach((state, i) => {
      const more: typeof steps = []
      for (const { states, takes } of steps) {
        for (const [to] of this.edges(state, within[i])) {
          if (++this.steps > mostSteps)
            throw new Unjudged('it is too complicated to be judged. Write fewer repetitions that hold others')
          const shared = takes & this.takes(to)
          if (shared !== 0n) more.push({ states: [...states, to], takes: shared })
        }
      }
      steps = more
    })
    return steps.map(({ states }) => states)
  }

  private *edges(from: number, within?: ReadonlySet<number>): Iterable<[number, number]> {
    for (const edge of this.next[from] as ReadonlyMap<number, number>)
      if (within === undefined || within.has(edge[0])) yield edge
  }

  /** To the search for a beginning any character is right. */
  private takes(state: number): bigint {
    return state === 0 ? -1n : (this.of.takes[state] as bigint)
  }

  /** In how many ways at most one text can be taken from a state on, a loop counted as one. */
  private ways(from: number): number {
    const known = this.wayCounts.get(from)
    if (known !== undefined) return known
    const loop = this.loopOf.get(from) ?? [from]
    const counts = Array.from({ length: this.of.kinds }, () => 0)
    let stays = 0
    for (const state of loop) {
      const within = counts.map(() => 0)
      for (const [to, ways] of this.edges(state)) {
        const stay = loop.includes(to)
        const more = stay ? Number(to !== 0) : ways * this.ways(to)
        const by = stay ? within : counts
        for (let kind = 0; kind < by.length; kind++)
          if ((this.takes(to) & (1n << BigInt(kind))) !== 0n) by[kind] = (by[kind] as number) + more
      }
      stays = Math.max(stays, ...within)
    }
    const most = Math.max(1, stays, ...counts)
    for (const state of loop) this.wayCounts.set(state, most)
    return most
  }
  private readonly wayCounts = new Map<number, number>()
}

function longer<T>(a: T[], b: T[]): T[] {
  return b.length > a.length ? b : a
}

/**
 * Behind a state that is sure, whatever fails does so once for every place in the text that the one way through sure states
 * comes by: as it is with the search for a beginning, whose state stands for all of them. Several ways to a sure state may all fail
 * before they get there.
 */
function withoutSure({ next, sure, loops }: Automaton): ReadonlyMap<number, number>[] {
  const start = new Map(next[0])
  let turns = false
  for (const state of sure) {
    for (const [to, ways] of next[state] as ReadonlyMap<number, number>) {
      start.set(to, Math.max(ways, start.get(to) ?? 0))
      turns ||= (loops[state]?.length ?? 0) > 0
    }
  }
  if (turns) start.set(0, 1)
  const rest = next.map((edges, state) =>
    state === 0 ? start : sure.has(state) ? new Map<number, number>() : edges,
  )
  return rest.map((edges) => new Map([...edges].filter(([to, ways]) => ways > 1 || !sure.has(to))))
}
