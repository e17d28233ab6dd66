import type { AST } from '@eslint-community/regexpp'

/**
 * A regular expression as states, one for each place in it that takes a character (Glushkov's automaton, repetitions that are
 * counted written out). State 0 is the beginning. Where there are several ways from a state to another, each is gone by itself
 * when the rest fails: they are counted.
 */
export interface Automaton {
  /** What each state takes: a bit for every kind of character that the expression tells apart. */
  readonly takes: readonly bigint[]
  /** By state the number of ways to each next one. */
  readonly next: readonly ReadonlyMap<number, number>[]
  /** By state the repetitions without end that it stands in, outermost first, as they are written. */
  readonly loops: readonly (readonly string[])[]
  /** States behind which nothing more has to match: whoever gets here never has to go back. */
  readonly sure: ReadonlySet<number>
  /** The expression as it is written. */
  readonly source: string
  /** How many kinds of characters there are. */
  readonly kinds: number
}

/** An expression that can't be judged: what it has that prevents it, and what to write instead. */
export class Unjudged extends Error {}

/** States, and in how many ways each is come by. */
type Ways = ReadonlyMap<number, number>

interface Part {
  readonly first: Ways
  readonly last: Ways
  /** In how many ways the part takes nothing. */
  readonly empty: number
  /** Those of `last` behind which no `$`, `\b` or lookahead of the part may fail; and whether it takes nothing without one. */
  readonly sure: readonly number[]
  readonly surelyEmpty: boolean
}

/** More is slow to judge, and to read. */
const mostStates = 400
/** A count between two numbers is written out up to this; a wider one is taken for one without end. */
const widest = 4

const none: Ways = new Map()
const nothing: Part = { first: none, last: none, empty: 1, sure: [], surelyEmpty: true }
const mayFail: Part = { ...nothing, surelyEmpty: false }

/**
 * @param pattern what the parser made of the expression
 * @param flags those of the expression
 * @throws Unjudged
 */
export function automaton(pattern: AST.Pattern, flags: string): Automaton {
  const elements: (string | undefined)[] = [undefined]
  const next: Map<number, number>[] = [new Map()]
  const loops: string[][] = [[]]
  const around: string[] = []

  const state = (element: string | undefined): Part => {
    const at = elements.push(element) - 1
    if (at > mostStates)
      throw new Unjudged(
        `with counts written out it is longer than ${mostStates} characters, too long to be judged. Write + or * for high counts, or two expressions`,
      )
    next.push(new Map())
    loops.push([...around])
    const itself = new Map([[at, 1]])
    return { first: itself, last: itself, empty: 0, sure: [at], surelyEmpty: false }
  }
  const link = (from: Ways, to: Ways): void => {
    for (const [a, ways] of from)
      for (const [b, more] of to) add(next[a] as Map<number, number>, b, ways * more)
  }
  const both = (a: Part, b: Part): Part => {
    link(a.last, b.first)
    return {
      first: sum([a.first, b.first], a.empty),
      last: sum([b.last, a.last], b.empty),
      empty: a.empty * b.empty,
      sure: [...b.sure, ...(b.surelyEmpty ? a.sure : [])],
      surelyEmpty: a.surelyEmpty && b.surelyEmpty,
    }
  }
  const either = (parts: readonly Part[]): Part => ({
    first: sum(parts.map(({ first }) => first)),
    last: sum(parts.map(({ last }) => last)),
    empty: parts.reduce((total, { empty }) => total + empty, 0),
    sure: parts.flatMap(({ sure }) => sure),
    surelyEmpty: parts.some(({ surelyEmpty }) => surelyEmpty),
  })
  /** With its end as a state where there are several ways to it: to fail there, at a `$` perhaps, so often is work, too. */
  const ended = ({ first, last, empty }: Part, sure?: ReadonlySet<number>): Ways => {
    const end = state(undefined).first
    link(new Map([...last].filter(([each, ways]) => ways > 1 && sure?.has(each) !== true)), end)
    return empty > 1 ? sum([first, end], empty) : first
  }
  // A turn that need not be taken and takes nothing is no turn: it fails (ECMA-262, RepeatMatcher).
  const maybe = (part: Part): Part => ({ ...part, empty: 1, surelyEmpty: true })

  const repeated = ({ element, min, max, raw }: AST.Quantifier, wrap: Wrap): Part => {
    const make = (): Part => one(element, wrap)
    const endless = (): Part => {
      around.push(raw)
      const part = make()
      around.pop()
      link(part.last, part.first)
      return maybe(part)
    }
    let part = nothing
    for (let i = 0; i < Math.min(min, mostStates + 1); i++) part = both(part, make())
    if (max - min > widest) return both(part, endless())
    let rest = nothing
    for (let i = min; i < max; i++) rest = maybe(both(make(), rest))
    return both(part, rest)
  }

  const one = (element: AST.Element, wrap: Wrap): Part => {
    switch (element.type) {
      case 'Group': {
        const { modifiers } = element
        const within: Wrap = modifiers === null ? wrap : (raw) => wrap(`(?${modifiers.raw}:${raw})`)
        return any(element.alternatives, within)
      }
      case 'CapturingGroup':
        return any(element.alternatives, wrap)
      case 'Quantifier':
        return repeated(element, wrap)
      case 'Assertion': {
        if (element.kind === 'lookbehind' && /[*+?{\\]/.test(element.raw.slice(4)))
          throw new Unjudged(
            `${element.raw} can't be judged: write a lookbehind without repetitions and escapes`,
          )
        // What it looks at is gone through anew each time, and leads nowhere.
        return element.kind === 'lookahead'
          ? { ...mayFail, first: ended(any(element.alternatives, wrap)) }
          : mayFail
      }
      case 'Backreference': {
        // To compare costs what it compares, as if a repetition took it.
        around.push(element.raw)
        const part = state(undefined)
        around.pop()
        link(part.last, part.first)
        return { ...part, empty: 1, sure: [] }
      }
      case 'Character':
      case 'CharacterClass':
      case 'CharacterSet':
      case 'ExpressionCharacterClass':
        return state(wrap(element.raw))
    }
  }
  const any = (alternatives: readonly AST.Alternative[], wrap: Wrap): Part =>
    either(
      alternatives.map(({ elements }) =>
        elements
          .map((element) => () => one(element, wrap))
          .reduce((part, make) => both(part, make()), nothing),
      ),
    )

  const whole = any(pattern.alternatives, (raw) => raw)
  const beginning = new Map([[0, 1]])
  const sure = new Set(whole.sure)
  const first = ended(whole, sure)
  link(beginning, whole.surelyEmpty ? whole.first : first)
  // An engine tries each place in turn until one matches, and by the flag g the next ones: a repetition ahead of it all.
  const once = whole.surelyEmpty && !flags.includes('g')
  if (!once && (flags.includes('m') || !anchored(pattern.alternatives))) link(beginning, beginning)
  return { ...kindsOf(elements, pattern.raw, flags), source: pattern.raw, next, loops, sure }
}

/** An element as it is written, within the flags that groups around it set. */
type Wrap = (raw: string) => string

function add(to: Map<number, number>, state: number, ways: number): void {
  if (ways > 0) to.set(state, (to.get(state) ?? 0) + ways)
}

/** All of them together, those from the second on as many times. */
function sum(all: readonly Ways[], times = 1): Ways {
  const total = new Map<number, number>()
  all.forEach((each, i) => {
    for (const [state, ways] of each) add(total, state, i === 0 ? ways : ways * times)
  })
  return total
}

/** Whether all of them begin with `^`. */
function anchored(alternatives: readonly AST.Alternative[]): boolean {
  const begins = (element: AST.Element | undefined): boolean => {
    if (element?.type === 'Assertion') return element.kind === 'start'
    if (element?.type === 'Group' || element?.type === 'CapturingGroup') return anchored(element.alternatives)
    return element?.type === 'Quantifier' && element.min > 0 && begins(element.element)
  }
  const looks = (element: AST.Element): boolean =>
    element.type === 'Assertion' && element.kind === 'lookahead'
  return alternatives.every(({ elements }) => begins(elements.find((element) => !looks(element))))
}

/**
 * What the elements take, by asking the engine itself about bytes, which is what paths and fields are made of, about what the
 * expression writes, and about a few from further up. Characters that all elements treat alike are of one kind.
 */
function kindsOf(
  elements: readonly (string | undefined)[],
  raw: string,
  flags: string,
): { readonly takes: readonly bigint[]; readonly kinds: number } {
  const samples = new Set([
    ...Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)),
    ...Array.from(raw),
    ...raw.split(''),
    ...escaped(raw),
    ...'\u0100\u017f\u0416\u2028\u212a\u4e2d\ufeff\u{1f600}'.split(''),
    '\u{1f600}',
  ])
  const tests = new Map<string, RegExp>()
  for (const element of elements)
    if (element !== undefined) tests.set(element, new RegExp(`^${element}$`, flags.replace(/[^ius]/g, '')))
  const masks = new Map([...tests.keys()].map((element) => [element, 0n]))
  const kinds = new Set<string>()
  for (const sample of samples) {
    const fits = [...tests].filter(([, test]) => test.test(sample)).map(([element]) => element)
    const kind = fits.join('\n')
    if (kinds.has(kind)) continue
    for (const element of fits) masks.set(element, (masks.get(element) ?? 0n) | (1n << BigInt(kinds.size)))
    kinds.add(kind)
  }
  const all = (1n << BigInt(kinds.size)) - 1n
  return {
    takes: elements.map((element) => (element === undefined ? all : (masks.get(element) ?? 0n))),
    kinds: kinds.size,
  }
}

/** The characters behind `\u....` and `\u{...}`. */
function escaped(raw: string): string[] {
  return [...raw.matchAll(/\\u(?:\{([\da-f]+)\}|([\da-f]{4}))/gi)].map(([, long, short]) =>
    String.fromCodePoint(Number.parseInt(long ?? short ?? '0', 16)),
  )
}
