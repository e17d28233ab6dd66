import { discard, type Reply } from '@sluice/core'
import { get, judgeConditions } from '@sluice/headers'
import type { Asked } from './asked.js'
import { notModified, preconditionFailed } from './conditional-reply.js'

/** An answer for one client alone. Its conditions went out with nobody, so they are held against it here. */
export function ownReply(asked: Asked, came: Reply): Reply {
  if (!asked.conditional || came.status < 200 || came.status >= 300) return came
  const { headers } = came
  const etag = get(headers, 'etag')
  const lastModified = get(headers, 'last-modified')
  const status = judgeConditions(asked, { etag, lastModified, date: get(headers, 'date') })
  if (status === undefined) return came
  discard(came)
  return status === 304 ? notModified(headers) : preconditionFailed()
}
