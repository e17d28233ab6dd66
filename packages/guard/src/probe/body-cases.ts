import { type ProbeCase, request } from './probe-case.js'
import { swallowed } from './verdicts.js'

/** A request whose body is one too, and then one that asks to close. */
function holding(
  method: string,
  fields: readonly string[] = [],
): Pick<ProbeCase, 'right' | 'judge' | 'send'> {
  return {
    right: 'no answer to what is in the body',
    judge: swallowed(),
    send: (to) => {
      const hidden = request(to, 'GET')
      return [
        {
          bytes: request(to, method, [`Content-Length: ${hidden.length}`, ...fields], hidden),
          bodiless: method === 'HEAD',
        },
        { bytes: request(to, 'GET', ['Connection: close']), last: true },
      ]
    },
  }
}

/** Bodies that a server may leave unread, and then take for what comes next. */
export const bodyCases: readonly ProbeCase[] = [
  {
    id: 'body-get',
    says: 'a GET whose body is a request',
    source: 'RFC 9110 section 9.3.1',
    level: 'must',
    ...holding('GET'),
  },
  {
    id: 'body-head',
    says: 'a HEAD whose body is a request',
    source: 'RFC 9110 section 9.3.2',
    level: 'must',
    ...holding('HEAD'),
  },
  {
    id: 'body-options',
    says: 'an OPTIONS whose body is a request',
    source: 'RFC 9110 section 9.3.7',
    level: 'must',
    ...holding('OPTIONS'),
  },
  {
    id: 'body-delete',
    says: 'a DELETE whose body is a request',
    source: 'RFC 9110 section 9.3.5',
    level: 'must',
    ...holding('DELETE'),
  },
  {
    id: 'body-expect',
    says: 'a POST that expects 100 and sends its body at once, which is a request',
    source: 'RFC 9110 section 10.1.1',
    level: 'must',
    ...holding('POST', ['Expect: 100-continue']),
  },
]
