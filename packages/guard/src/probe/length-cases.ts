import { type ProbeCase, request, thenPlain } from './probe-case.js'
import { refused } from './verdicts.js'

/** A POST that says more than it has, and then the end of our side. */
const cut = (fields: readonly string[], body = ''): ProbeCase['send'] => {
  return (to) => [{ bytes: request(to, 'POST', fields, body), finish: true }]
}
/** A POST with this Content-Length. */
const length = (value: string, body = 'seven') =>
  thenPlain((to) => request(to, 'POST', [`Content-Length:${value}`], body))
const hard = {
  source: 'RFC 9110 section 8.6',
  level: 'must',
  right: '400 or closed',
  judge: refused(),
} as const
const soft = {
  level: 'should',
  right: '400 or closed',
  judge: refused({ served: 'tolerated' }),
} as const

/** What Content-Length says. */
export const lengthCases: readonly ProbeCase[] = [
  { id: 'length-word', says: 'a length that is a word', ...hard, send: length(' five', '') },
  { id: 'length-empty', says: 'an empty length', ...hard, send: length(' ', '') },
  { id: 'length-plus', says: 'a length with a plus', ...hard, send: length(' +5') },
  { id: 'length-minus', says: 'a negative length', ...hard, send: length(' -5', '') },
  { id: 'length-minus-zero', says: 'the length -0', ...hard, send: length(' -0', '') },
  { id: 'length-hex', says: 'a length in hexadecimal', ...hard, send: length(' 0x5') },
  { id: 'length-octal', says: 'a length as 0o5', ...hard, send: length(' 0o5') },
  {
    id: 'length-underscore',
    says: 'a length with an underscore',
    ...hard,
    send: length(' 1_0', 'seventeen.'),
  },
  { id: 'length-two-numbers', says: 'a length of two numbers', ...hard, send: length(' 1 0', 'seventeen.') },
  { id: 'length-list', says: 'a list of lengths that differ', ...hard, send: length(' 5, 10') },
  {
    id: 'length-list-same',
    says: 'a list of the same length',
    ...soft,
    source: 'RFC 9110 section 8.6',
    send: length(' 5, 5'),
  },
  {
    id: 'length-too-large',
    says: 'a length beyond 64 bits',
    ...hard,
    send: length(' 98765432109876543210', ''),
  },
  {
    id: 'length-twice',
    says: 'two Content-Length fields that differ',
    ...hard,
    send: thenPlain((to) => request(to, 'POST', ['Content-Length: 5', 'Content-Length: 10'], 'seventeen.')),
  },
  {
    id: 'length-leading-zeros',
    says: 'a length with leading zeros',
    source: 'RFC 9110 section 8.6',
    ...soft,
    send: length(' 005'),
  },
  {
    id: 'length-double-zero',
    says: 'the length 00',
    source: 'RFC 9110 section 8.6',
    ...soft,
    send: length(' 00', ''),
  },
  {
    id: 'length-octal-looking',
    says: 'the length 0200, which is 128 for those who read it as octal',
    source: 'RFC 9110 section 8.6',
    ...soft,
    send: length(' 0200', 'o'.repeat(200)),
  },
  {
    id: 'length-space-behind',
    says: 'a space behind the length',
    source: 'RFC 9110 section 5.5',
    ...soft,
    send: length(' 5 '),
  },
  {
    id: 'length-spaces-before',
    says: 'two spaces before the length',
    source: 'RFC 9110 section 5.5',
    ...soft,
    send: length('  5'),
  },
  {
    id: 'length-tab-before',
    says: 'a tab before the length',
    source: 'RFC 9110 section 5.5',
    ...soft,
    level: 'may',
    send: length('\t5'),
  },
  {
    id: 'length-not-kept',
    says: 'fewer bytes than the length says',
    source: 'RFC 9112 section 6.3',
    level: 'must',
    right: '400, closed, or no answer',
    judge: refused({ silent: 'right' }),
    send: cut(['Content-Length: 10'], 'seven'),
  },
  {
    id: 'length-huge',
    says: 'a length of a gigabyte, and nothing of it',
    source: 'RFC 9112 section 6.3',
    level: 'must',
    right: '400, 413, closed, or no answer',
    judge: refused({ statuses: [400, 413], silent: 'right' }),
    send: cut(['Content-Length: 1073741824']),
  },
]
