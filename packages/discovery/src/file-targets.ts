import { extname } from 'node:path'
import { FileText, FileWatch } from '@sluice/files'
import { type Duration, duration, fault, oneOf, parse, positiveDuration, quote, v } from '@sluice/options'
import type { Discovery, TargetInit } from '@sluice/upstream'
import { type CommonOptions, commonEntries, type DiscoverySeams, seamsOf } from './discovery-options.js'
import { Feed, messageOf } from './feed.js'
import { Rounds } from './rounds.js'
import { type FileFormat, loadYaml, readTargetFile } from './target-file.js'

/** Options of {@link fileTargets}. */
export interface FileOptions extends CommonOptions {
  /** Default by the name: YAML for `.yaml` and `.yml`, else JSON. */
  format?: FileFormat
  /** From the last sign of a change to the reading, so that a file in the making is left alone. Default 100ms. */
  debounce?: Duration
  /** The file is looked at that often in any case, for file systems that tell of no change. Default 5s. */
  poll?: Duration
}

const fileOptions = v.strictObject({
  ...commonEntries,
  format: v.optional(oneOf('json', 'yaml')),
  debounce: v.optional(duration(), 100),
  poll: v.optional(positiveDuration(), 5_000),
})

/**
 * The targets that a JSON or YAML file lists, read again when it changes: a list of what an upstream takes as targets, in its
 * order, or an object with that list as `targets`. Whoever writes it makes a new file and renames it over the old one; half a file
 * may be good YAML.
 *
 * A file that can't be read, or whose content is wrong in any place, changes nothing: the last targets stay, and a warning names file
 * and line, once for each such content. A file that is not there yet is waited for: until it is, there are no targets, and requests
 * get 503.
 * @throws TypeError for a wrong path or option
 */
export function fileTargets(path: string, options: FileOptions = {}, seams: DiscoverySeams = {}): Discovery {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new TypeError(fault('fileTargets', quote(path), "a path such as 'targets.json'"))
  const settings = parse(fileOptions, options, 'fileTargets')
  const { format = /^\.ya?ml$/i.test(extname(path)) ? 'yaml' : 'json', debounce, poll, empty } = settings
  // While there are files to open: what a file is found faulty for, it is until it changes.
  if (format === 'yaml') loadYaml()
  const all = seamsOf(seams)
  return {
    watch(fn) {
      const feed = new Feed(`file ${path}`, empty, fn, true)
      const soon = Math.max(debounce, 1)
      const file = new TargetFile(path, format)
      // Since when there are signs of a change that nobody has looked at.
      let touched: number | undefined
      const touch = (): void => {
        touched ??= all.now()
        // However often it is written to, it is looked at by and by.
        rounds.again(Math.min(debounce, Math.max(touched + poll - all.now(), 0)))
      }
      const near = new FileWatch(path, touch, (error) =>
        feed.note(`looked at every ${poll} ms: ${messageOf(error)}`),
      )
      const round = async (): Promise<number> => {
        const told = touched !== undefined
        touched = undefined
        // Watched first, or a change between the two would be missed.
        await near.arm()
        const found = await file.look(told)
        if (Array.isArray(found)) feed.deliver(found)
        return found === 'busy' ? soon : pauseNow()
      }
      // What happened in the middle of a look counts for the next one, be the first a failure.
      const pauseNow = (): number => (touched === undefined ? poll : soon)
      const rounds: Rounds = new Rounds(round, feed, pauseNow, all).start()
      return {
        [Symbol.dispose]() {
          rounds[Symbol.dispose]()
          near[Symbol.dispose]()
        },
      }
    },
  }
}

/** More than that is no list of targets, but something that has gone wrong. */
const mostBytes = 16 * 1_048_576
/** What was last read of a file. */
class TargetFile {
  private readonly file: FileText
  private text: string | undefined = undefined
  private fault: Error | undefined = undefined

  constructor(
    private readonly path: string,
    private readonly format: FileFormat,
  ) {
    this.file = new FileText(path, mostBytes)
  }

  /**
   * Reads the file if it has changed.
   * @param told something has happened to it: it is read even if it looks the same
   * @returns its targets; nothing if they are as before; `'busy'` if it was being written, and is to be looked at again soon
   * @throws what is wrong with it, for as long as it is
   */
  async look(told: boolean): Promise<TargetInit[] | 'busy' | undefined> {
    const text = await this.file.look(told)
    if (text === undefined) return 'busy'
    if (text === this.text) {
      if (this.fault !== undefined) throw this.fault
      return undefined
    }
    this.text = text
    try {
      const targets = readTargetFile(text, this.format, this.path)
      this.fault = undefined
      return targets
    } catch (error) {
      this.fault = error as Error
      throw error
    }
  }
}
