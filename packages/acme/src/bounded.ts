import type { AcmeSeams } from './acme-seams.js'

/**
 * What `call` gives, within `ms`; what throws in place of rejecting has failed all the same.
 * @param late gets what comes when nobody waits for it any more
 * @throws Error where it takes longer
 */
export function bounded<T>(
  call: () => T | Promise<T>,
  ms: number,
  after: AcmeSeams['after'],
  late?: (value: T) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false
    const cancel = after(ms, () => {
      over = true
      reject(new Error(`no answer within ${ms} ms`))
    })
    new Promise<T>((given) => given(call())).then(
      (value) => {
        if (over) return late?.(value)
        cancel()
        resolve(value)
      },
      (error: unknown) => {
        cancel()
        reject(error)
      },
    )
  })
}
