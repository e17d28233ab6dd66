/**
 * A method of Node's as it is, if its text says that it works by `calls`; `undefined` where a tracer has put another one in its place,
 * or where this Node works in another way. Whoever does without the method asks first, so that nobody is passed by.
 */
export function ownMethod<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  calls: string,
): T[K] | undefined {
  const method = prototype[name]
  return Function.prototype.toString.call(method).includes(calls) ? method : undefined
}
