/** Fields that are remembered, and what of one at most, in characters. */
const slots = 512
const longestName = 32
const longestValue = 256

/**
 * Fields that nothing was wrong with and that no rule counts. Most of them come again, with the next request or with many others, and to compare
 * one costs a fraction of what it costs to look at each of its characters. A short field is kept until another of its shape takes its place.
 */
export class PassedFields {
  readonly #names = Array.from({ length: slots }, () => '')
  readonly #values = Array.from({ length: slots }, (): string | undefined => undefined)

  has(name: string, value: string): boolean {
    const slot = slotOf(name, value)
    return this.#values[slot] === value && this.#names[slot] === name
  }

  add(name: string, value: string): void {
    if (name.length > longestName || value.length > longestValue) return
    const slot = slotOf(name, value)
    this.#names[slot] = name
    this.#values[slot] = value
  }
}

/** Of fields of one name the values often differ in their last character alone. */
function slotOf(name: string, value: string): number {
  const { length } = value
  return (
    (name.length * 7 + name.charCodeAt(0) + length * 31 + (length === 0 ? 0 : value.charCodeAt(length - 1))) &
    (slots - 1)
  )
}
