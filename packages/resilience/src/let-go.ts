/** Whether a value is a `Response`: of Node's own `fetch`, or of one that came with a package, whose class is another. */
export function isResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === '[object Response]'
}

/** Ends what nobody reads, and would keep a connection. A body that was read can't be cancelled, and needn't be. */
export function letGo(value: unknown): void {
  if (isResponse(value)) value.body?.cancel().catch(() => {})
}
