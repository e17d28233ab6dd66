import { describe, expect, it } from 'vitest'
import { pathConfusion } from './deception.js'
import { deviceClass } from './device-class.js'
import { fetchFields } from './fetch-fields.js'
import { unkeyedFields } from './unkeyed.js'

describe('fetchFields', () => {
  it('takes out what chooses the answer for others, and leaves the rest in order', () => {
    const headers = [
      'Host',
      'a',
      'X-Forwarded-Host',
      'evil',
      'Accept',
      '*/*',
      'x-original-url',
      '/b',
      'X_Forwarded_Scheme',
      'x',
      'Cookie',
      'c',
    ]
    expect(fetchFields()(headers, [])).toEqual(['Host', 'a', 'Accept', '*/*', 'Cookie', 'c'])
    expect(headers).toHaveLength(12)
  })

  it('leaves those that are part of the key', () => {
    const headers = ['X-Forwarded-Host', 'a', 'X-Host', 'b']
    expect(fetchFields(['X-Forwarded-HOST'])(headers, [])).toEqual(['X-Forwarded-Host', 'a'])
    expect(fetchFields()(['X-Forwarded-Host', 'a'], [])).toEqual([])
  })

  it('has a list in lower case, each once', () => {
    expect(unkeyedFields).toEqual([...new Set(unkeyedFields.map((name) => name.toLowerCase()))])
  })
})

describe('pathConfusion', () => {
  it.each([
    ['/account/x.css', 'text/html; charset=utf-8'],
    ['/account/x.CSS?a', 'text/html'],
    ['/account;x.css', 'text/html'],
    ['/account%2fx.css', 'text/html'],
    ['/account%3Fx.css', 'text/html'],
    ['/account%00.css', 'text/html'],
    ['/account%0ax.js', 'application/json'],
    ['/account%23x.png', 'application/json'],
    ['/account%253bx.css', 'text/html'],
    ['/account/x.css;v=1', 'text/html'],
    ['/account/x.css%00.html', 'text/html'],
    ['/account/x.css%3faccount', 'text/html'],
    ['/account/x.css%253baccount', 'text/html'],
    ['/x.js', 'text/css'],
    ['/x.svg', 'text/html'],
    ['/x.txt', 'text/html'],
    ['/x.pdf', 'application/json'],
    ['/x.png', ''],
  ])('%s of type %s', (path, type) => {
    expect(pathConfusion(path, type === '' ? [] : ['Content-Type', type])).toBe('path-confusion')
  })

  it.each([
    ['/x.css', 'text/css; charset=utf-8'],
    ['/x.js', 'application/javascript'],
    ['/x.mjs', 'text/javascript'],
    ['/x.svg', 'image/svg+xml'],
    ['/photo@2x.png', 'image/png'],
    ['/x.woff2', 'font/woff2'],
    ['/x.woff', 'application/octet-stream'],
    ['/x.ico', 'image/vnd.microsoft.icon'],
    ['/x.js.map', 'application/json'],
    ['/x.tar.gz', 'application/x-gzip'],
    ['/x.mp4', 'video/mp4'],
    ['/x.webmanifest', 'application/manifest+json'],
    ['/account', 'text/html'],
    ['/', 'text/html'],
    ['/a.b/c', 'text/html'],
    ['/page.html', 'text/html'],
    ['/v1.2', 'application/json'],
    ['/search?q=x.css', 'text/html'],
    ['/x.css;v=1', 'text/css'],
    ['/a%20b.html', 'text/html'],
  ])('not %s of type %s', (path, type) => {
    expect(pathConfusion(path, ['content-type', type])).toBeUndefined()
  })
})

describe('deviceClass', () => {
  const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0'
  it.each([
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36`, 'desktop'],
    [`Mozilla/5.0 (Linux; Android 10; K) ${chrome} Mobile Safari/537.36`, 'mobile'],
    [`Mozilla/5.0 (Linux; Android 13; SM-X200) ${chrome} Safari/537.36`, 'tablet'],
    [`Mozilla/5.0 (Linux; Android 9; CUBOT X19) ${chrome} Mobile Safari/537.36`, 'mobile'],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1',
      'mobile',
    ],
    ['Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) Version/12.1 Mobile/15E148 Safari/604.1', 'tablet'],
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'bot'],
    [
      `Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) ${chrome} Mobile Safari/537.36 (compatible; Googlebot/2.1)`,
      'bot',
    ],
    ['curl/8.5.0', 'bot'],
    ['', 'desktop'],
  ])('%s', (agent, device) => {
    expect(deviceClass(['User-Agent', agent])).toBe(device)
  })

  it('believes the hint where the agent tells of nothing else', () => {
    expect(deviceClass(['Sec-CH-UA-Mobile', '?1'])).toBe('mobile')
    expect(deviceClass(['Sec-CH-UA-Mobile', '?0', 'User-Agent', 'Android Mobile'])).toBe('desktop')
    expect(deviceClass(['Sec-CH-UA-Mobile', '?1', 'User-Agent', 'x Googlebot/2.1'])).toBe('bot')
  })
})
