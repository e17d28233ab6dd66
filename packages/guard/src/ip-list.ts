import { parse } from '@sluice/options'
import { type After, later } from './after.js'
import { FileList } from './file-list.js'
import { type IpSource, ipSource, isIpSet } from './ip-source.js'
import { type IpSet, ipTrie } from './ip-trie.js'
import { LoadedList } from './loaded-list.js'

/** A set of addresses that may change by itself. */
export interface IpList extends IpSet, Disposable {
  /** Whether it is there: not as long as its first load has not come. */
  readonly loaded: boolean
  /** Resolves when it is there. Never rejects. */
  readonly ready: Promise<void>
}

/** What lists take from outside, to be replaced in tests. */
export interface IpListSeams {
  /** Calls `fn` once after `ms`; returns the undo. Default a timer of Node's that holds no process open. */
  after?: After
}

/**
 * A set of addresses (`ipTrie`) from where it is kept: entries, a file that is read again when it changes, or a function that is called
 * again from time to time. A list that can't be had, or has a wrong entry, changes nothing: the last good one stays, and a warning
 * tells each wrong line, once. It holds no process open; `Symbol.dispose` ends the watching.
 * @param path the option's, for errors
 * @throws TypeError for a wrong option; for a wrong entry, and a file that can't be read, at the start: there is no list to go on with
 */
export function ipList(source: IpSource, path = 'ipList', seams: IpListSeams = {}): IpList {
  const { after = later } = seams
  const given = parse(ipSource, source, path)
  if (isIpSet(given)) throw new TypeError(`${path}: got a set of addresses, takes what one is made of`)
  if ('file' in given) return new FileList(given.file, given.poll, after, path)
  if ('load' in given) return new LoadedList(given.load, given.every, after, path)
  const set = ipTrie(given, path)
  return {
    size: set.size,
    has: (address) => set.has(address),
    loaded: true,
    ready: Promise.resolve(),
    [Symbol.dispose]() {},
  }
}
