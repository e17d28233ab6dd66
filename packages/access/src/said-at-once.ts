/**
 * What a function of the user's has answered, which can't be waited for where it is asked: a promise would count as a yes.
 * @param what whose function it is, in words
 * @throws TypeError for a promise, whose own failing is heard
 */
export function saidAtOnce<T>(answer: T, what: string): T {
  if (!(answer instanceof Promise)) return answer
  answer.catch(() => {})
  throw new TypeError(`${what} gave a promise, and takes an answer at once`)
}
