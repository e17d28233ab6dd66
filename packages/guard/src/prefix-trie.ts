/** Prefixes to make a {@link PrefixTrie} of: words of 32 bits, and how many bits of them count. */
export interface Prefixes {
  /** Words of an address: 1 of IPv4, 4 of IPv6. */
  readonly width: 1 | 4
  /** The words of each, one prefix behind the other. Bits behind a prefix are 0. */
  readonly words: Uint32Array
  readonly lengths: Uint8Array
}

/**
 * Whether an address begins with one of many prefixes. A crit-bit trie (a PATRICIA trie, Morrison 1968, over a set in which no
 * prefix begins with another), packed into four arrays: 14 bytes an entry of IPv4 and 26 of IPv6, and nothing for the garbage
 * collector to walk through.
 *
 *   leaf   a prefix. One that begins with another of the set says nothing new, and is left out
 *   node   the first bit in which what lies left of it differs from what lies right of it, and the two
 *   look   from the root by the address's own bits to one leaf, the only one that can fit; then one comparison
 *
 * A look takes as many steps as nodes are on the way: some 17 among 100,000 prefixes, 32 or 128 at the very most.
 */
export class PrefixTrie {
  private readonly width: number
  private readonly words: Uint32Array
  private readonly lengths: Uint8Array
  private readonly bits: Uint8Array
  /** Two a node, left and right. A leaf is the complement of its number. */
  private readonly children: Int32Array
  private readonly root: number

  constructor(prefixes: Prefixes) {
    const { width } = prefixes
    const kept = withoutCovered(prefixes, inOrder(prefixes))
    const size = kept.length
    this.width = width
    this.words = new Uint32Array(size * width)
    this.lengths = new Uint8Array(size)
    for (let i = 0; i < size; i++) {
      const from = kept[i] as number
      this.words.set(prefixes.words.subarray(from * width, (from + 1) * width), i * width)
      this.lengths[i] = prefixes.lengths[from] as number
    }
    this.bits = new Uint8Array(Math.max(size - 1, 0))
    this.children = new Int32Array(2 * this.bits.length)
    this.root = this.link()
  }

  /** Whether one of the prefixes is how this address begins. */
  covers(address: Uint32Array): boolean {
    const { bits, children, lengths } = this
    if (lengths.length === 0) return false
    let at = this.root
    while (at >= 0) {
      const bit = bits[at] as number
      const side = ((address[bit >>> 5] as number) >>> (31 - (bit & 31))) & 1
      at = children[2 * at + side] as number
    }
    return begins(address, 0, this.words, ~at * this.width, lengths[~at] as number)
  }

  /**
   * Node i stands between leaves i and i + 1, and parts them at the first bit in which they differ. Of any stretch of leaves the node with
   * the least bit is on top; with a stack of those that are still open to the right that takes one pass.
   */
  private link(): number {
    const { bits, children, width, words } = this
    const open: number[] = []
    for (let node = 0; node < bits.length; node++) {
      const bit = commonBits(words, node * width, words, (node + 1) * width, width)
      bits[node] = bit
      let left = ~node
      while (open.length > 0 && (bits[open.at(-1) as number] as number) > bit) left = open.pop() as number
      children[2 * node] = left
      children[2 * node + 1] = ~(node + 1)
      const above = open.at(-1)
      if (above !== undefined) children[2 * above + 1] = node
      open.push(node)
    }
    return open[0] ?? ~0
  }
}

/** Their numbers, in the order of addresses; of those with the same words the shortest first. */
function inOrder({ width, words, lengths }: Prefixes): Uint32Array {
  const order = Uint32Array.from(lengths, (_, i) => i)
  return order.sort((a, b) => {
    for (let w = 0; w < width; w++) {
      const difference = (words[a * width + w] as number) - (words[b * width + w] as number)
      if (difference !== 0) return difference
    }
    return (lengths[a] as number) - (lengths[b] as number)
  })
}

/** Those that begin with none of the others. In order, what covers one stands right before all that it covers. */
function withoutCovered({ width, words, lengths }: Prefixes, order: ArrayLike<number>): number[] {
  const kept: number[] = []
  for (let i = 0; i < order.length; i++) {
    const each = order[i] as number
    const last = kept.at(-1)
    if (last === undefined || !begins(words, each * width, words, last * width, lengths[last] as number))
      kept.push(each)
  }
  return kept
}

/** Whether the words from `at` begin with the first `length` bits of those from `from`. */
function begins(words: Uint32Array, at: number, prefix: Uint32Array, from: number, length: number): boolean {
  let left = length
  for (let w = 0; left > 0; w++, left -= 32) {
    const differ = (words[at + w] as number) ^ (prefix[from + w] as number)
    if (left >= 32 ? differ !== 0 : differ >>> (32 - left) !== 0) return false
  }
  return true
}

/** How many bits two begin with in common. */
function commonBits(a: Uint32Array, atA: number, b: Uint32Array, atB: number, width: number): number {
  for (let w = 0; w < width; w++) {
    const differ = (a[atA + w] as number) ^ (b[atB + w] as number)
    if (differ !== 0) return w * 32 + Math.clz32(differ)
  }
  return width * 32
}
