import type { AccountKeeper } from './account-keeper.js'
import { tell } from './acme-event.js'
import type { HeldCertificate } from './held-certificate.js'
import { authorityError } from './issue.js'
import type { SlidingCount } from './sliding-count.js'

const minute = 60_000
/** Between two questions, in ms, where the authority says nothing else (RFC 9773 section 4.3.2); and the bounds of what it says. */
const usual = 360 * minute
const least = minute
const most = 1_440 * minute

/**
 * Asks the authority when it wants a certificate renewed, if it is time to ask (RFC 9773). One that can't be asked has said nothing, and its last word
 * stands; one that knows nothing of that, or no more, leaves it to us. Never rejects.
 * @param often bounds the questions about all certificates; one too many is put off
 */
export async function askRenewal(
  held: HeldCertificate,
  account: AccountKeeper,
  now: () => number,
  often: SlidingCount,
): Promise<void> {
  // A clock that was set back must not keep it from being asked.
  held.askAt = Math.min(held.askAt, now() + most)
  if (held.askAt > now() || held.stored.revoked === true || held.notAfter <= now()) return
  // Certificates that come and go again, as clients ask for more names than are held, must not become a flood of questions.
  if (!often.take()) {
    held.askAt = now() + least
    return
  }
  let wait = usual
  try {
    const client = await account.client()
    const { start, end, explanation, retryAfterMs } = (await client.renewalInfo(held.stored.cert)) ?? {}
    const isNew = start !== held.window?.start || end !== held.window?.end
    held.window = start === undefined || end === undefined ? undefined : { start, end }
    if (isNew && held.window !== undefined)
      tell({ kind: 'window', names: held.stored.names, ...held.window, explanation })
    wait = retryAfterMs ?? usual
  } catch (error) {
    wait = authorityError(error)?.retryAfterMs ?? usual
  }
  held.askAt = now() + Math.min(Math.max(wait, least), most)
}
