// What others reach, as their figures have been published.
import { readFileSync } from 'node:fs'
import { verdicts } from './verdicts.mjs'

/** Of a later version of the suite (cache-tests.fyi), with what tests need honoured: out of so many. */
export const laterOf = { required: 160, optimal: 105 }

/** `[who, required, optimal]` */
export const later = [
  ['all of them together', 154, 88],
  ['Apache Traffic Server', 134, 73],
  ['Apache httpd', 131, 68],
  ["undici's cache interceptor", 125, 65],
  ['Varnish', 119, 45],
  ['Squid', 117, 58],
  ['nginx', 100, 58],
  ['HAProxy', 89, 39],
  ['no cache', 22, 0],
]

const shared = {
  trafficserver: 'Apache Traffic Server',
  apache: 'Apache httpd',
  squid: 'Squid',
  varnish: 'Varnish',
  nginx: 'nginx',
}

/** The results that lie in the suite's package, as if they had been run. */
export function publishedRuns(folder, tests) {
  return Object.entries(shared).map(([file, who]) => {
    const results = JSON.parse(readFileSync(`${folder}/results/${file}.json`, 'utf8'))
    return { title: `${who}, as published`, found: verdicts(tests, results) }
  })
}
