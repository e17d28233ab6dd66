/**
 * What a proxy did with a case, in a word and a status, and what is wrong with it, if anything: what arrives must be nothing, or
 * whole requests that were meant, or the beginning of one on a connection that is cut.
 */
export function judge({ hard }, { whole, part, fault, hangs, statuses, answerFault }) {
  const status = statuses.length > 0 ? ` ${statuses.join(' ')}` : ''
  const did =
    whole.length > 0 ? `forwarded${status}` : part ? `cut${status}` : status ? `refused${status}` : 'closed'
  const what = whole.map(({ method, target, framing }) => {
    const body = !framing ? '' : framing === 'chunked' ? ', chunked' : `, ${framing} bytes`
    return `${method} ${target.length > 60 ? `${target.slice(0, 60)}…` : target}${body}`
  })
  if (part) what.push('the beginning of one')
  return { did, arrived: what, wrong: fault ?? answerFault ?? wrongly(hard, hangs, whole, statuses) }
}

function wrongly(hard, hangs, whole, statuses) {
  if (hangs) return 'it hangs'
  if (hard && whole.length > 0) return 'it must be refused'
  if (whole.length === 0 && statuses.some((status) => status < 400)) return 'an answer to nothing'
  return undefined
}
