import { parseArgs } from 'node:util'
import { type ProbeReport, type ProbeResult, probe } from '@sluice/guard/probe'
import type { Duration } from '@sluice/options'

const usage = `Usage: sluice probe URL [options]

Sends malformed and ambiguous requests to an app of yours, over raw connections, and prints what got
through. The app sees them too: don't probe one whose data matters.

  URL             where it listens, such as http://127.0.0.1:8080; the path is the one that is asked for

Options:
  --all           every case, not only what got through
  --json          the report as JSON, on one line
  --only ID       this case alone; may be given more than once
  --timeout TIME  how long to wait for each answer, such as 500ms (default 2s)
  --i-own-this    probes another machine than this one: you say that it is yours
  --help          this text

Ends with 0 if nothing got through, 1 if something did or the app doesn't answer, 2 on wrong arguments.
`

/**
 * `sluice probe`: what `probe` of `@sluice/guard/probe` finds, as a table.
 * @param args what stands behind `probe` on the command line
 * @returns the exit code
 */
export async function probeCommand(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        all: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true },
        timeout: { type: 'string', default: '2s' },
        'i-own-this': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) {
      process.stdout.write(usage)
      return 0
    }
    const [target, ...more] = positionals
    if (target === undefined) throw new TypeError('no URL: say where your app listens')
    if (more.length > 0) throw new TypeError(`one URL at a time: got ${more.length + 1}`)
    const report = await probe(target, {
      ownThis: values['i-own-this'],
      // Of a bare number it is milliseconds, as everywhere.
      timeout: /^\d+$/.test(values.timeout) ? Number(values.timeout) : (values.timeout as Duration),
      ...(values.only && { only: values.only }),
    })
    process.stderr.write(misled(report))
    process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : table(report, values.all))
    return report.wrong.length === 0 ? 0 : 1
  } catch (error) {
    const wrong = error instanceof TypeError
    const said = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      `sluice probe: ${wrong ? asTyped(said) : said}\n${wrong ? 'Try sluice probe --help.\n' : ''}`,
    )
    return wrong ? 2 : 1
  }
}

/** Why the report may say less of the app than it seems to. */
function misled({ plain, results }: ProbeReport): string {
  const lines: string[] = []
  if (!plain.startsWith('2'))
    lines.push(
      `a plain GET is answered ${plain}: give the URL of a page that anybody gets, or good requests seem wrong`,
    )
  if (results.some(({ got }) => got.startsWith('429')))
    lines.push('some were answered 429: the app limits how often it is asked, which has to be more for this')
  return lines.map((line) => `sluice probe: ${line}\n`).join('')
}

/** What options are wrong, by the names that they have here. */
function asTyped(fault: string): string {
  return fault
    .replace(/^target: /, 'URL: ')
    .replaceAll(/^probe\.(timeout|only)(?:\[\d+\])?: /gm, '--$1: ')
    .replace('say that it is yours to probe it', 'with --i-own-this you say that it is yours')
}

function table({ target, results, wrong }: ProbeReport, all: boolean): string {
  const rows = all ? results : wrong
  const cells = rows.map((each) => [
    word(each),
    each.level,
    each.id,
    each.got,
    each.right,
    each.says,
    each.source,
  ])
  const head = ['', 'level', 'case', 'got', 'right', 'what was sent', 'source']
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => (row[column] ?? '').length)),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  const lines = rows.length === 0 ? [] : [line(head), ...cells.map(line), '']
  const tolerated = results.filter(({ verdict }) => verdict === 'tolerated').length
  const right = results.length - wrong.length - tolerated
  return `${lines.join('\n')}${lines.length > 0 ? '\n' : ''}sluice probe: ${target}: ${results.length} cases, ${right} right, ${tolerated} tolerated, ${wrong.length} wrong\n`
}

function word({ verdict }: ProbeResult): string {
  return verdict === 'wrong' ? 'WRONG' : verdict
}
