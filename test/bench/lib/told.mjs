// What the run tells a contender in its arguments: the origin's address, the name of the scenario, and where clients speak
// TLS the key and certificate as PEM.
import { scenarios } from './scenarios.mjs'

const [address, name, key, cert] = process.argv.slice(2)

/** The origin's address. */
export const origin = address
export const scenario = scenarios[name]
/** `{ key, cert }`; both undefined where no client speaks TLS. */
export const certificate = { key, cert }
