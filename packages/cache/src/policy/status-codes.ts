/** Fresh by heuristics where nothing is said (RFC 9110 section 15.1; 451 by RFC 7725). 206 where a part is kept. */
const heuristic = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 451, 501])

/** Final status codes whose rules of caching are known here, what `must-understand` asks (RFC 9111 section 5.2.2.3). */
const understood = new Set([
  ...heuristic,
  ...[201, 202, 205, 207, 208, 226, 302, 303, 307, 400, 401, 402, 403, 406, 408, 409, 411, 413, 415, 418],
  ...[421, 422, 423, 424, 425, 426, 500, 502, 503, 504, 505, 506, 507, 508, 510],
])

/** Never to be stored, each with its reason. */
const never = new Set([
  // It updates a stored response and is none.
  304,
  // Speaks of this client and this proxy.
  407,
  // Speaks of conditions, the expectation or the range of this one request.
  412, 416, 417,
  // RFC 6585 says so.
  428, 429, 431, 511,
])

/** Whether a response of this status that says nothing of freshness may be given some (RFC 9110 section 15.1). */
export function isHeuristic(status: number): boolean {
  return heuristic.has(status)
}

/** Whether the rules of this status are known (RFC 9111 section 3). */
export function isUnderstood(status: number): boolean {
  return understood.has(status)
}

/** Whether a response of this status may be stored at all. */
export function isStorable(status: number): boolean {
  return status >= 200 && status <= 599 && !never.has(status)
}
