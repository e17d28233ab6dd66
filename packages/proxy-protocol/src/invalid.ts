/** Bytes that can become no header, and why. `parse` makes a result of it. */
export class Invalid extends Error {
  override readonly name = 'Invalid'
}
