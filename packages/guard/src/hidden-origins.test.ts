import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HiddenOrigins, type PublicPlace } from './hidden-origins.js'

const hidden = new HiddenOrigins([
  'http://10.0.0.5:3000',
  'https://App-1.internal',
  'http://backend:8080',
  'http://[fd00::5]:3000',
])
const place: PublicPlace = { scheme: 'https', authority: 'shop.example:8443', prefix: '' }

describe('URLs', () => {
  it.each([
    ['http://10.0.0.5:3000/x?y#z', 'https://shop.example:8443/x?y#z'],
    ['HTTP://10.0.0.5:3000', 'https://shop.example:8443'],
    ['http://10.0.0.5/x', 'https://shop.example:8443/x'],
    ['http://10.0.0.5:9/x', 'https://shop.example:8443/x'],
    ['//10.0.0.5:3000/x', '//shop.example:8443/x'],
    ['ws://10.0.0.5:3000/x', 'wss://shop.example:8443/x'],
    ['wss://APP-1.Internal/x', 'wss://shop.example:8443/x'],
    ['postgres://10.0.0.5:5432/db', 'postgres://shop.example:8443/db'],
    ['https://app-1.internal./x', 'https://shop.example:8443/x'],
    ['see http://app-1.internal.', 'see https://shop.example:8443.'],
    ['http://backend:8080/', 'https://shop.example:8443/'],
    ['http://backend/', 'https://shop.example:8443/'],
    ['http://[fd00::5]:3000/', 'https://shop.example:8443/'],
    ['http://[fd00:0::0005]/', 'https://shop.example:8443/'],
    ['http://[::ffff:10.0.0.5]:3000/', 'https://shop.example:8443/'],
    ['http://[::FFFF:A00:5]:3000/', 'https://shop.example:8443/'],
    ['?n=http%3A%2F%2F%5Bfd00%3A%3A5%5D%3A3000%2Fx', '?n=https%3A%2F%2Fshop.example%3A8443%2Fx'],
    [String.raw`{"u":"http:\/\/10.0.0.5:3000\/x"}`, String.raw`{"u":"https:\/\/shop.example:8443\/x"}`],
    [
      String.raw`http:\u002f\u002f10.0.0.5:3000\u002fx`,
      String.raw`https:\u002f\u002fshop.example:8443\u002fx`,
    ],
    ['?n=http%3A%2F%2F10.0.0.5%3A3000%2Fx', '?n=https%3A%2F%2Fshop.example%3A8443%2Fx'],
    ['http%253a%252f%252f10.0.0.5%253a3000', 'https%253a%252f%252fshop.example%253a8443'],
    ['http:&#x2F;&#x2F;10.0.0.5:3000&#x2F;x', 'https:&#x2F;&#x2F;shop.example:8443&#x2F;x'],
    ['url(http\\://10.0.0.5:3000/x)', 'url(https\\://shop.example\\:8443/x)'],
    ['http:///10.0.0.5:3000/', 'http:///shop.example:8443/'],
    ['http://git@10.0.0.5:3000/x.git', 'https://shop.example:8443/x.git'],
    ['//joe:a.b%21c@backend:8080', '//shop.example:8443'],
    ['http://a%40b@c@app-1.internal/', 'https://shop.example:8443/'],
    ['?n=http%3A%2F%2Fgit%40%5Bfd00%3A%3A5%5D%3A3000', '?n=https%3A%2F%2Fshop.example%3A8443'],
    ['http:&#x2F;&#x2F;git&#x40;10.0.0.5&#58;3000&#x2F;x', 'https:&#x2F;&#x2F;shop.example:8443&#x2F;x'],
    ['http://10.0.0.5:3000@eu-west', 'https://shop.example:8443@eu-west'],
    [`http://${'u'.repeat(128)}@10.0.0.5/`, 'https://shop.example:8443/'],
    ['a http://10.0.0.5:3000 b //backend:8080/ c', 'a https://shop.example:8443 b //shop.example:8443/ c'],
  ])('%s becomes %s', (from, to) => expect(hidden.urls(from, place)).toBe(to))

  it.each([
    'http://10.0.0.50:3000/',
    'http://110.0.0.5/',
    'http://app-1.internal.example/',
    'http://my.app-1.internal/',
    'http://app-1.internal-x/',
    'http://elsewhere.example/10.0.0.5:3000',
    'http://elsewhere.example/@10.0.0.5:3000',
    'http%3A%2F%2Felsewhere.example%2F%40app-1.internal%3A443',
    'http://elsewhere.example "git@10.0.0.5:3000"',
    'backend 10.0.0.5:3000',
    '//',
    'https://shop.example:8443/x',
  ])('%s stays', (text) => expect(hidden.urls(text, place)).toBe(text))

  it('are paths where nobody knows what the client asked for', () => {
    const nowhere = { ...place, authority: '' }
    expect(hidden.urls('http://10.0.0.5:3000/x', nowhere)).toBe('/x')
    expect(hidden.urls('"http://10.0.0.5:3000"', nowhere)).toBe('"/"')
    expect(hidden.urls('"//10.0.0.5:3000"', { ...nowhere, prefix: '/api' })).toBe('"/api"')
  })

  it('lose the base path of the target and get the prefix of the mount', () => {
    const based = new HiddenOrigins(['http://a.test/app/v1', 'http://a.test/app', 'unix:/run/x.sock'])
    const below = { ...place, prefix: '/api' }
    expect(based.urls('http://a.test/app/x', below)).toBe('https://shop.example:8443/api/x')
    expect(based.urls('http://a.test/app/v1/x', below)).toBe('https://shop.example:8443/api/x')
    expect(based.urls('"http://a.test/app"', below)).toBe('"https://shop.example:8443/api"')
    expect(based.urls('http://a.test/apple', below)).toBe('https://shop.example:8443/apple')
    expect(based.urls(String.raw`"http:\/\/a.test\/app\/x"`, below)).toBe(
      String.raw`"https:\/\/shop.example:8443\/api\/x"`,
    )
    expect(based.urls('http://localhost/x', below)).toBe('https://shop.example:8443/api/x')
  })

  it('of a port beside it are told apart where the public host has the same name', () => {
    const same = new HiddenOrigins(['http://127.0.0.1:3000', 'http://127.0.0.1'])
    const own = { scheme: 'http', authority: '127.0.0.1:8080', prefix: '' }
    for (const text of ['http://127.0.0.1:8080/x', 'http://127.0.0.1:4000/x']) {
      expect(same.urls(text, own)).toBe(text)
      expect(same.value(text, own)).toBe(text)
    }
    expect(same.urls('http://127.0.0.1:3000/x', own)).toBe('http://127.0.0.1:8080/x')
    expect(same.urls('http://127.0.0.1/x', own)).toBe('http://127.0.0.1:8080/x')
    expect(same.value('by 127.0.0.1:3000', own)).toBe('by 127.0.0.1:8080')
    expect(same.value('by 127.0.0.1', own)).toBe('by 127.0.0.1')
  })
})

describe('values', () => {
  it.each([
    ['10.0.0.5:3000', 'shop.example:8443'],
    ['upstream=10.0.0.5; port', 'upstream=shop.example:8443; port'],
    ['host app-1.internal', 'host shop.example:8443'],
    ['backend:8080', 'shop.example:8443'],
    ['backend', 'backend'],
    ['fd00::5', 'shop.example:8443'],
    ['FD00:0:0:0:0:0:0:5', 'shop.example:8443'],
    ['::ffff:a00:5', 'shop.example:8443'],
    ['[fd00::0:5]:3000', 'shop.example:8443'],
    ['for="[fd00::5]"', 'for="shop.example:8443"'],
    ['12:30:45', '12:30:45'],
    ['[fd00::6]:3000', '[fd00::6]:3000'],
    [
      "default-src 'self' 10.0.0.5:3000 https://app-1.internal",
      "default-src 'self' shop.example:8443 https://shop.example:8443",
    ],
    ['10.0.0.50', '10.0.0.50'],
    ['/login?host=backend%3A8080&x', '/login?host=shop.example%3A8443&x'],
    ['/login?host%3Dbackend%253A8080', '/login?host%3Dshop.example%253A8443'],
    ['back=10.0.0.5%3A3000', 'back=shop.example%3A8443'],
    ['git%40backend%3a8080', 'git%40shop.example%3a8443'],
    ['%2f10.0.0.5', '%2fshop.example:8443'],
    ['"backend&#58;8080"', '"shop.example&#58;8443"'],
    [String.raw`\u003dbackend\u003a8080`, String.raw`\u003dshop.example\u003a8443`],
    ['a=fd00%3A%3A5', 'a=shop.example%3A8443'],
    ['a=%5Bfd00%3A%3A0005%5D%3A3000', 'a=shop.example%3A8443'],
    ['backend%3A80', 'backend%3A80'],
    ['sid=s%3A7%3Aapp-1.internal%3Anonce', 'sid=s%3A7%3Ashop.example%3A8443%3Anonce'],
    ['state=abc:backend:8080:xyz', 'state=abc:shop.example:8443:xyz'],
    ['app-1.internal:9999:10.0.0.5.', 'shop.example:8443:shop.example:8443.'],
    ['%3A%3A%25', '%3A%3A%25'],
  ])('%s becomes %s', (from, to) => expect(hidden.value(from, place)).toBe(to))

  it('name nobody where no name is known', () => {
    expect(hidden.value('10.0.0.5', { ...place, authority: '' })).toBe('hidden')
  })
})

it('finds what it has to in random texts, whatever stands around', () => {
  const piece = fc.constantFrom(
    'http',
    's',
    ':',
    '/',
    '//',
    '10.0.0.5',
    ':3000',
    'backend',
    '.',
    '\\',
    '%2F',
    '&#47;',
    '@',
    '%40',
    '%3A8080',
    'a',
    '"',
    ' ',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('')
      const once = hidden.urls(text, place)
      // What it has made names nothing that is hidden.
      expect(hidden.urls(once, place)).toBe(once)
    }),
  )
})
