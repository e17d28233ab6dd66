/** Adds a text with its length to parts that are joined in the end. */
export function packText(parts: string[], text: string): void {
  const { length } = text
  if (length < 255) parts.push(String.fromCharCode(length), text)
  else
    parts.push(
      longText,
      String.fromCharCode(length & 255, (length >>> 8) & 255, (length >>> 16) & 255, length >>> 24),
      text,
    )
}

const longText = '\xff'

/** Reads what {@link packText} wrote. */
export class PackedReader {
  private at = 0

  constructor(private readonly packed: string) {}

  get done(): boolean {
    return this.at === this.packed.length
  }

  /** The next character, as a number. */
  code(): number {
    return this.packed.charCodeAt(this.at++)
  }

  text(): string {
    const { packed } = this
    let length = this.code()
    if (length === 255)
      length = this.code() + this.code() * 2 ** 8 + this.code() * 2 ** 16 + this.code() * 2 ** 24
    this.at += length
    return packed.slice(this.at - length, this.at)
  }
}
