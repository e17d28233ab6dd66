/** Places in one piece of memory. */
const inPiece = 4_096

/**
 * So many numbers for each place, in pieces that are made when the first place of theirs is needed: a table of a million keys takes little
 * while it has few, and never holds its numbers twice to grow.
 */
export class PlaceArray<T extends Float64Array | Uint32Array | Uint16Array> {
  private readonly pieces: T[] = []
  private readonly width: number
  private readonly make: (length: number) => T

  constructor(width: number, make: (length: number) => T) {
    this.width = width
    this.make = make
  }

  /** The piece of memory with that place. */
  piece(place: number): T {
    const index = Math.floor(place / inPiece)
    this.pieces[index] ??= this.make(inPiece * this.width)
    return this.pieces[index]
  }

  /** Where the place begins in its piece. */
  start(place: number): number {
    return (place % inPiece) * this.width
  }
}
