import { type ChildProcess, spawn } from 'node:child_process'
import { until } from './until.js'

/** A program that a test runs in a process group of its own. */
export interface Program {
  readonly child: ChildProcess
  readonly output: string
  /** The first match in what it has printed, as soon as it is there. */
  says(pattern: RegExp): Promise<RegExpExecArray>
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
  /** Signals the whole group, as a terminal's Ctrl-C does. */
  signalGroup(signal: NodeJS.Signals): void
  /** Ends what is left of it. */
  close(): Promise<void>
}

/** Runs `node` with these arguments. */
export function program(args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  let output = ''
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
    })
  }
  let over = false
  const ended = new Promise<number | string>((resolve) => {
    child.on('close', (code, signal) => {
      over = true
      resolve(code ?? signal ?? 1)
    })
  })
  const signalGroup = (signal: NodeJS.Signals): void => {
    if (!over && child.pid !== undefined) process.kill(-child.pid, signal)
  }
  return {
    child,
    get output() {
      return output
    },
    says: (pattern) =>
      until(
        () => {
          const found = pattern.exec(output)
          if (found === null && over) throw new Error(`it ended and never said ${pattern}:\n${output}`)
          return found ?? undefined
        },
        () => `${pattern} in:\n${output}`,
      ),
    ended,
    signalGroup,
    close: async () => {
      signalGroup('SIGKILL')
      await ended
    },
  }
}
